// Structured log, one line an event, to stderr: `time level event key=value …`.
//
// Nothing that a remote peer can bring about may be logged above debug without LogLimited.
// Thread-safe. A facade: spdlog is included in log.cc only.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace panal {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogField = std::pair<absl::string_view, std::string>;

// Sets the least level that is written. Default: kInfo.
void SetLogLevel(LogLevel level);
// `debug`, `info`, `warning`, `error`; INVALID_ARGUMENT (CONFIG_INVALID) otherwise.
absl::Status SetLogLevel(absl::string_view name);

// Writes one line. `event` is a word (`link_up`); values are quoted where they hold spaces.
void Log(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields = {});

// As Log, but at most ten lines of one `event` per ten seconds; the next line says how many were
// left out. For what a remote peer can bring about.
void LogLimited(LogLevel level, absl::string_view event,
                std::initializer_list<LogField> fields = {});

}  // namespace panal
