// spdlog's headers are compiled without exceptions here, like everything of ours.
#define SPDLOG_NO_EXCEPTIONS
#include "common/base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/log_limiter.h"
#include "common/base/status.h"
#include "common/base/sync.h"
#include "common/base/utf8.h"

namespace panal {
namespace {

// Bytes of one value that are written; the rest of a longer one says nothing more to a reader.
constexpr size_t kLogValueSizeMax = 1024;

// Never destroyed: threads may log until the process ends.
spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("panal", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc));
    made->set_level(spdlog::level::info);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

bool NeedsQuotes(absl::string_view value) {
  if (value.empty()) return true;
  for (unsigned char c : value) {
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f) return true;
  }
  return false;
}

// A value is one token on one line whatever a remote peer put into it.
std::string Quoted(absl::string_view value) {
  if (!NeedsQuotes(value)) return std::string(value);
  std::string escaped = IsValidUtf8(value) ? absl::Utf8SafeCEscape(value) : absl::CHexEscape(value);
  return absl::StrCat("\"", escaped, "\"");
}

void AppendField(std::string& line, absl::string_view key, absl::string_view value) {
  bool cut = value.size() > kLogValueSizeMax;
  absl::StrAppend(&line, " ", key, "=", Quoted(value.substr(0, kLogValueSizeMax)),
                  cut ? "..." : "");
}

std::string Line(absl::string_view event, std::initializer_list<LogField> fields) {
  std::string line(event);
  for (const LogField& field : fields) AppendField(line, field.first, field.second);
  return line;
}

void Write(LogLevel level, const std::string& line) {
  Logger().log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

struct SharedLimiter {
  Mutex mutex;
  LogLimiter limiter ABSL_GUARDED_BY(mutex);

  std::optional<int64_t> Admit(absl::string_view event) {
    MutexLock lock(&mutex);
    return limiter.Admit(event, absl::Now());
  }
};

SharedLimiter& Limiter() {
  static SharedLimiter* const limiter = new SharedLimiter;
  return *limiter;
}

}  // namespace

void SetLogLevel(LogLevel level) { Logger().set_level(ToSpdlog(level)); }

absl::Status SetLogLevel(absl::string_view name) {
  for (LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    auto spelled = spdlog::level::to_string_view(ToSpdlog(level));
    if (name == absl::string_view(spelled.data(), spelled.size())) {
      SetLogLevel(level);
      return absl::OkStatus();
    }
  }
  return Error(ErrorReason::kConfigInvalid,
               absl::StrCat("log level \"", absl::CHexEscape(name),
                            "\" is none of debug, info, warning, error"),
               {{"value", std::string(name)}});
}

void Log(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields) {
  if (!Logger().should_log(ToSpdlog(level))) return;
  Write(level, Line(event, fields));
}

void LogLimited(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields) {
  if (!Logger().should_log(ToSpdlog(level))) return;
  std::optional<int64_t> left_out = Limiter().Admit(event);
  if (!left_out) return;
  std::string line = Line(event, fields);
  if (*left_out > 0) AppendField(line, "left_out", absl::StrCat(*left_out));
  Write(level, line);
}

}  // namespace panal
