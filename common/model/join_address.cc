#include "common/model/join_address.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/model/record.h"

namespace panal {
namespace {

absl::Status Invalid(absl::string_view setting, absl::string_view value, absl::string_view what) {
  return Error(ErrorReason::kConfigInvalid, absl::StrCat(setting, " ", value, ": ", what),
               {{"setting", std::string(setting)}, {"value", std::string(value)}});
}

}  // namespace

absl::Status ValidateMeshName(absl::string_view name) {
  if (!name.empty() && name.size() <= kMeshNameSizeMax && IsValidUtf8(name)) {
    return absl::OkStatus();
  }
  return Invalid("--mesh", name, absl::StrCat("is not 1 to ", kMeshNameSizeMax, " bytes of UTF-8"));
}

absl::StatusOr<JoinAddress> ParseJoinAddress(absl::string_view text) {
  JoinAddress join;
  size_t at = text.find('@');
  absl::string_view address = at == absl::string_view::npos ? text : text.substr(at + 1);
  if (at != absl::string_view::npos) {
    join.peer = PeerId::FromText(text.substr(0, at));
    if (!join.peer) {
      return Invalid("--join", text, "the part before @ is no peer id of 52 base32 characters");
    }
  }
  if (!IsValidAddress(address)) {
    return Invalid("--join", text, "is not [PEERID@]HOST:PORT");
  }
  join.address = std::string(address);
  return join;
}

}  // namespace panal
