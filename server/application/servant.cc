#include "server/application/servant.h"

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status.h"

namespace panal {

absl::Status DecodeMessage(absl::string_view bytes, google::protobuf::MessageLite& message) {
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::OkStatus();
  return Error(ErrorReason::kMessageInvalid,
               absl::StrCat(bytes.size(), " bytes do not decode as ", message.GetTypeName()),
               {{"type", message.GetTypeName()}});
}

Servant::Servant(absl::string_view service, Dispatcher& dispatcher)
    : service_(service), dispatcher_(dispatcher) {}

bool Servant::Serve(absl::string_view method, const CallPtr& call) const {
  auto found = methods_.find(method);
  if (found == methods_.end()) return false;
  if (found->second.for_programs_only && call->head().origin == CallOrigin::kMesh) {
    call->Finish(
        ResultOf(Error(ErrorReason::kNotPermitted,
                       absl::StrCat(service_, "/", method,
                                    " is for programs of the peer itself, not for other peers"),
                       {{"method", absl::StrCat(service_, "/", method)}})));
    return true;
  }
  found->second.start(
      CallSession::Start(call, dispatcher_, found->second.work_class, shared_from_this()));
  return true;
}

std::vector<std::string> Servant::methods() const {
  std::vector<std::string> names;
  for (const auto& [name, method] : methods_) names.push_back(name);
  return names;
}

void Servant::Add(absl::string_view method, WorkClass work_class, MethodStart start) {
  const bool added =
      methods_
          .emplace(std::string(method), Method{work_class, for_programs_only_, std::move(start)})
          .second;
  PANAL_CHECK(added);
}

void Servant::ReadRequest(const CallSessionPtr& session, std::function<void(std::string)> task) {
  session->Read([session, task = std::move(task)](std::optional<std::string> read) {
    if (!read) {
      return session->Finish(
          Error(ErrorReason::kMessageInvalid, "the call ended without a request"));
    }
    task(*std::move(read));
  });
}

}  // namespace panal
