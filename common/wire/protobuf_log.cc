#include "common/wire/protobuf_log.h"

#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "google/protobuf/stubs/logging.h"

namespace panal {
namespace {

void WriteLog(google::protobuf::LogLevel level, const char* file, int line,
              const std::string& message) {
  std::string at = absl::StrCat(file, ":", line);
  if (level == google::protobuf::LOGLEVEL_FATAL) {
    Log(LogLevel::kError, "protobuf", {{"message", message}, {"at", at}});
  } else {
    LogLimited(LogLevel::kDebug, "protobuf", {{"message", message}, {"at", at}});
  }
}

}  // namespace

void LimitProtobufLog() {
  static std::once_flag once;
  std::call_once(once, [] { google::protobuf::SetLogHandler(WriteLog); });
}

}  // namespace panal
