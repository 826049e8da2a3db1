// panal: the command line. One file a verb; see verb.h.
#include "client/cli/verb.h"
#include "common/rpc/initialize.h"

int main(int argc, char** argv) {
  panal::InitializeRpc();
  return panal::cli::Run(argc, argv);
}
