#include "server/application/api_gate.h"

#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace panal {
namespace {

constexpr absl::string_view kScheme = "Bearer ";
// What this project's own services begin with.
constexpr absl::string_view kOwnPrefix = "/panal.";

// The token of the one value; empty where there is none, or it is of another scheme.
absl::string_view TokenOf(const std::vector<std::string>& authorization) {
  if (authorization.size() != 1) return "";
  const absl::string_view value = authorization[0];
  if (!absl::StartsWithIgnoreCase(value, kScheme)) return "";
  return absl::StripAsciiWhitespace(value.substr(kScheme.size()));
}

}  // namespace

const std::vector<std::pair<absl::string_view, ApiRole>>& ApiRoles() {
  static const auto* roles = new std::vector<std::pair<absl::string_view, ApiRole>>{
      {"/panal.v1.PeerObject/GetPeer", ApiRole::kRead},
      {"/panal.v1.PeerObject/ListNeighbors", ApiRole::kRead},
      {"/panal.v1.PeerObject/ListObjects", ApiRole::kRead},
      {"/panal.v1.PeerObject/ResolvePeer", ApiRole::kRead},
      {"/panal.v1.PeerObject/Diagnose", ApiRole::kRead},
      {"/panal.v1.FileObject/ListFiles", ApiRole::kRead},
      {"/panal.v1.FileObject/GetFile", ApiRole::kRead},
      {"/panal.v1.FileObject/ListDirectory", ApiRole::kRead},
      {"/panal.v1.FileObject/ReadFile", ApiRole::kRead},
      {"/panal.v1.SearchObject/Search", ApiRole::kRead},
      {"/grpc.health.v1.Health/Check", ApiRole::kRead},
      {"/grpc.health.v1.Health/Watch", ApiRole::kRead},
      {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ApiRole::kRead},
      {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", ApiRole::kRead},
      // What takes space, bandwidth or memory of the peer, or gives it back.
      {"/panal.v1.FileObject/PutFile", ApiRole::kWrite},
      {"/panal.v1.FileObject/AddPath", ApiRole::kWrite},
      {"/panal.v1.FileObject/UploadFile", ApiRole::kWrite},
      {"/panal.v1.FileObject/FetchFile", ApiRole::kWrite},
      {"/panal.v1.FileObject/RemoveFile", ApiRole::kWrite},
      {"/panal.v1.SearchObject/Subscribe", ApiRole::kWrite},
      {"/panal.v1.SearchObject/Unsubscribe", ApiRole::kWrite},
      // Who is in the mesh.
      {"/panal.v1.PeerObject/Renew", ApiRole::kAdmin},
      {"/panal.v1.PeerObject/CreateTicket", ApiRole::kAdmin},
      {"/panal.v1.PeerObject/JoinMesh", ApiRole::kAdmin},
      {"/panal.v1.PeerObject/ListMembers", ApiRole::kAdmin},
      {"/panal.v1.PeerObject/Revoke", ApiRole::kAdmin},
      {"/panal.v1.PeerObject/MoveTo", ApiRole::kAdmin},
      // Streams between peers, which the API port serves to nobody.
      {"/panal.v1.PeerObject/Link", ApiRole::kAdmin},
      {"/panal.v1.PeerObject/Call", ApiRole::kAdmin},
      {"/panal.v1.PeerObject/Join", ApiRole::kAdmin},
      {"/panal.v1.FileObject/Blocks", ApiRole::kAdmin},
  };
  return *roles;
}

ApiRole ApiRoleFor(absl::string_view method) {
  static const auto* roles =
      new std::map<absl::string_view, ApiRole>(ApiRoles().begin(), ApiRoles().end());
  const auto found = roles->find(method);
  if (found != roles->end()) return found->second;
  return absl::StartsWith(method, kOwnPrefix) ? ApiRole::kAdmin : ApiRole::kWrite;
}

ApiGate::ApiGate(const std::vector<ApiToken>& tokens) : open_(tokens.empty()), tokens_(tokens) {}

absl::Status ApiGate::Admit(ApiRole needed, const std::vector<std::string>& authorization) const {
  if (open_) return absl::OkStatus();
  const absl::string_view token = TokenOf(authorization);
  if (token.empty()) {
    return Error(ErrorReason::kTokenInvalid,
                 absl::StrCat("a token is needed here: one `", kAuthorizationKey,
                              ": Bearer TOKEN`, where the call has ", authorization.size(),
                              authorization.empty() ? "" : ", not of this form"));
  }
  const ApiTokenSet::Holder* holder = tokens_.Find(token);
  if (holder == nullptr) {
    return Error(ErrorReason::kTokenInvalid,
                 "the token that was sent is none of those this peer knows");
  }
  if (holder->role >= needed) return absl::OkStatus();
  // Not which role is needed: that would tell whether there is such a method.
  const absl::string_view role = ApiRoleName(holder->role);
  return Error(ErrorReason::kTokenRoleTooLow,
               absl::StrCat("a token of the role ", role,
                            " does not allow this call; one of a higher role is needed"),
               {{"role", std::string(role)}});
}

}  // namespace panal
