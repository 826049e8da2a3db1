#include "client/cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/proxy/client.h"
#include "common/base/status.h"
#include "common/base/units.h"
#include "common/base/utf8.h"

namespace panal::cli {
namespace {

// Columns that `text` takes: code points, good enough for names of one width.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Bytes of the well-formed character that `text`, which is not empty, begins with; 0 where it
// begins with none.
size_t CharacterSize(absl::string_view text) {
  for (size_t size = 1; size <= 4 && size <= text.size(); ++size) {
    if (IsValidUtf8(text.substr(0, size))) return size;
  }
  return 0;
}

uint32_t CodePoint(absl::string_view character) {
  auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first;
  uint32_t code = first & (0x7F >> character.size());
  for (char c : character.substr(1)) code = code << 6 | (static_cast<unsigned char>(c) & 0x3F);
  return code;
}

// What a terminal acts on instead of showing it. Bidirectional controls: Unicode UAX #9, table 2.
bool IsControl(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x061C || code == 0x200E ||
         code == 0x200F || (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

// errno of the first write to stdout that failed. The stream itself only remembers that one did.
int lost_output = 0;

bool IsUsageError(ErrorReason reason) {
  switch (reason) {
    case ErrorReason::kArgumentInvalid:
    case ErrorReason::kAttributeInvalid:
    case ErrorReason::kConfigInvalid:
    case ErrorReason::kFileIdInvalid:
    case ErrorReason::kPeerIdInvalid:
    case ErrorReason::kQueryInvalid:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool WriteOut(absl::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return true;
  if (lost_output == 0) lost_output = errno;
  return false;
}

absl::Status FinishOutput() {
  if (std::fflush(stdout) != 0 && lost_output == 0) lost_output = errno;
  return lost_output == 0 ? absl::OkStatus() : WriteError("stdout", lost_output);
}

void PrintJson(const Json& object) {
  WriteOut(object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  // A program may read along; Run reports what is lost.
  FinishOutput().IgnoreError();
}

std::string Printable(const std::string& text) {
  std::string out;
  absl::string_view rest = text;
  while (!rest.empty()) {
    size_t size = CharacterSize(rest);
    if (size == 0 || IsControl(CodePoint(rest.substr(0, size)))) {
      out += '?';
    } else {
      out.append(rest.data(), size);
    }
    rest.remove_prefix(std::max<size_t>(size, 1));
  }
  return out;
}

Table::Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void Table::Add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = Printable(cell);
  rows_.push_back(std::move(row));
}

void Table::Print() const {
  std::vector<size_t> widths(rows_[0].size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - Width(row[i]) + 2, ' ');
    }
    WriteOut(line + "\n");
  }
}

absl::Status WriteError(const std::string& path, int error) {
  ErrorReason reason =
      error == ENOSPC || error == EDQUOT ? ErrorReason::kStorageFull : ErrorReason::kPathUnwritable;
  return Error(reason, absl::StrCat("cannot write ", path, ": ", strerror(error)),
               {{"path", path}});
}

std::string TokenAdvice(absl::string_view reason) {
  if (reason == ReasonName(ErrorReason::kTokenInvalid)) {
    return "give a token of the peer's --api-token-file: --token-file FILE, or PANAL_TOKEN";
  }
  if (reason == ReasonName(ErrorReason::kTokenRoleTooLow)) {
    return "who runs the peer makes one with `panal token new --role write`, or admin";
  }
  return "";
}

int Fail(const absl::Status& status) {
  std::string reason = ReasonNameOf(status);
  std::string suffix = reason.empty() ? "" : absl::StrCat(" [", reason, "]");
  const std::string advice = TokenAdvice(reason);
  if (!advice.empty()) suffix = absl::StrCat("; ", advice, suffix);
  std::fprintf(stderr, "panal: %s%s\n", Printable(std::string(status.message())).c_str(),
               suffix.c_str());
  if (reason == "PEER_UNREACHABLE") return kExitUnreachable;
  if (IsUsageError(ReasonOf(status))) return kExitUsage;
  if (absl::IsNotFound(status)) return kExitNotFound;
  return kExitFailed;
}

void Hint(const std::string& text) {
  if (isatty(STDERR_FILENO)) std::fprintf(stderr, "%s\n", text.c_str());
}

Progress::Progress() : terminal_(isatty(STDERR_FILENO)), begun_(absl::Now()) {}

void Progress::Show(int64_t bytes, int64_t total_bytes, int peers, const std::string& waiting) {
  if (!terminal_) return;
  absl::Time now = absl::Now();
  if (first_bytes_ < 0) first_bytes_ = bytes;
  if (now - shown_ < absl::Milliseconds(100)) return;
  shown_ = now;
  double seconds = std::max(absl::ToDoubleSeconds(now - begun_), 0.001);
  double rate = static_cast<double>(bytes - first_bytes_) / seconds;
  std::string line = FormatSize(bytes);
  if (total_bytes > 0) absl::StrAppend(&line, "/", FormatSize(total_bytes));
  if (!waiting.empty()) {
    absl::StrAppend(&line, "  ", Printable(waiting));
  } else {
    absl::StrAppend(&line, "  ", FormatSize(static_cast<int64_t>(rate)), "/s");
    if (rate > 1 && total_bytes > bytes) {
      double left = static_cast<double>(total_bytes - bytes) / rate;
      absl::StrAppend(&line, "  ETA ", FormatClock(absl::Seconds(left)));
    }
    absl::StrAppend(&line, "  ", peers, peers == 1 ? " peer" : " peers");
  }
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::Done() {
  if (drawn_) std::fprintf(stderr, "\r\033[K");
  drawn_ = false;
}

}  // namespace panal::cli
