// Settings of panald: flag, then environment (PANAL_…), then TOML file, then default. Unknown names
// are errors with a suggestion, in all three; sizes and durations are written for people (`256MiB`,
// `10s`).
//
// CLI11 parses; it throws, so options_parser.cc is compiled with exceptions and lets none out.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/runtime/options.h"

namespace panal {

// What the command line asks for.
struct CommandLine {
  NodeOptions options;
  // Not empty: print this to stdout and exit with 0 (--help, --version, --print-config).
  std::string print;
};

// Error: CONFIG_INVALID, which names the setting, its value, and what is expected.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

}  // namespace panal
