// What the command line prints: tables and progress for people, one JSON object a line for
// programs.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace panal::cli {

using Json = nlohmann::ordered_json;

// Exit codes (docs/cli.md).
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNotFound = 3;     // Nothing matches, or nobody has it.
inline constexpr int kExitIncomplete = 4;   // The search did not meet the recall asked for.
inline constexpr int kExitUnreachable = 5;  // No peer answers at --api.

// Writes `text` to stdout, which is the only way there; whether that went well. What is lost, on a
// disk that is full, is remembered for FinishOutput.
bool WriteOut(absl::string_view text);
// Flushes stdout; an error when anything written to it was lost. Errors: STORAGE_FULL,
// PATH_UNWRITABLE.
absl::Status FinishOutput();

// Prints one line of JSON to stdout.
void PrintJson(const Json& object);

// Columns aligned by the widest cell; numbers may be given right-aligned.
class Table {
 public:
  explicit Table(std::vector<std::string> header);
  void Add(std::vector<std::string> row);
  void Print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Why `path` cannot be written, from errno: STORAGE_FULL, else PATH_UNWRITABLE.
absl::Status WriteError(const std::string& path, int error);

// What to do where a peer refuses for a token; empty for every other reason.
std::string TokenAdvice(absl::string_view reason);

// Prints `panal: message [REASON]` to stderr; the exit code that fits. What was asked for in a way
// that nobody could answer (a wrong id, query or argument) is wrong usage.
int Fail(const absl::Status& status);

// A hint for the next step, to stderr and only where a person reads it.
void Hint(const std::string& text);

// `12.3 MiB/1.0 GiB  98.1 MiB/s  ETA 0:10  4 peers`, rewritten in place on a terminal, silent
// elsewhere.
class Progress {
 public:
  Progress();
  // `total_bytes` 0: not known yet. `waiting`: shown instead of the rate.
  void Show(int64_t bytes, int64_t total_bytes, int peers, const std::string& waiting);
  // Clears the line.
  void Done();

 private:
  const bool terminal_;
  const absl::Time begun_;
  absl::Time shown_ = absl::InfinitePast();
  int64_t first_bytes_ = -1;
  bool drawn_ = false;
};

// `text` as it may be printed to a terminal: control characters (C0, DEL, C1), what turns the
// direction of writing, line and paragraph separators, and bytes that are no UTF-8 are shown as
// `?`, one each.
std::string Printable(const std::string& text);

}  // namespace panal::cli
