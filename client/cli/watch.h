// `panal search --watch`: a subscription on the command line.
#pragma once

#include <string>

#include "client/cli/verb.h"

namespace panal::cli {

struct WatchArguments {
  std::string query;
  double recall = 0.99;
  int limit = 0;        // Hits after which it ends. 0: no end.
  std::string timeout;  // Empty: no end.
};

// Prints what comes until the limit, the time, SIGINT or SIGTERM. Returns the exit code: as of a
// search, 0 where anything was told.
int Watch(const Context& context, const WatchArguments& arguments);

}  // namespace panal::cli
