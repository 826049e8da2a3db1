// panal: the command line. One file a verb; see verb.h.
#include "client/cli/verb.h"

int main(int argc, char** argv) { return panal::cli::Run(argc, argv); }
