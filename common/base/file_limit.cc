#include "common/base/file_limit.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace panal {
namespace {

absl::Status Failed(const char* what) {
  return Error(ErrorReason::kInternal,
               absl::StrCat(what, " of RLIMIT_NOFILE failed: ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<FileLimit> RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return Failed("reading");
  FileLimit result{.before = limit.rlim_cur, .now = limit.rlim_max};
  if (limit.rlim_cur == limit.rlim_max) return result;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return Failed("raising");
  return result;
}

}  // namespace panal
