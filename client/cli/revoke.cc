// panal revoke: throws a peer out of the mesh, or takes a grant or a ticket back.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/members_output.h"
#include "client/cli/root_key.h"
#include "client/cli/verb.h"
#include "common/base/status.h"
#include "common/identity/fact.h"
#include "common/identity/mesh_root.h"

namespace panal::cli {
namespace {

struct Arguments {
  std::string target;
  std::string reason;
  bool spare = false;
  std::string root_key;
  std::string passphrase_file;
};

// The whole id, serial or ticket that `text` stands for: it may be the beginning of a peer id.
absl::StatusOr<std::string> ResolveTarget(Client& client, const std::string& text) {
  if (ParseRevocationTarget(text).ok()) return text;
  std::set<std::string> known;
  PANAL_ASSIGN_OR_RETURN(const std::vector<v1::Member> members, client.ListMembers());
  for (const v1::Member& member : members) {
    if (!text.empty() && absl::StartsWith(member.peer_id(), text)) known.insert(member.peer_id());
  }
  if (known.size() == 1) return *known.begin();
  PANAL_ASSIGN_OR_RETURN(const v1::ResolvePeerResponse peer, client.ResolvePeer(text));
  return peer.peer_id();
}

// The revocation, signed here with the root key, which never leaves this program.
absl::StatusOr<std::string> SignWithRoot(Client& client, const Arguments& arguments,
                                         const std::string& target) {
  PANAL_ASSIGN_OR_RETURN(const std::string passphrase, ReadPassphrase(arguments.passphrase_file));
  PANAL_ASSIGN_OR_RETURN(const MeshRoot root, MeshRoot::Load(arguments.root_key, passphrase));
  PANAL_ASSIGN_OR_RETURN(const v1::GetPeerResponse peer, client.GetPeer());
  if (peer.mesh_id() != root.mesh_id().ToText()) {
    return Error(ErrorReason::kMeshMismatch,
                 absl::StrCat("--root-key ", arguments.root_key, " is the root of mesh ",
                              root.mesh_id().ToText(), "; the peer belongs to ", peer.mesh_id()));
  }
  Revocation revocation{.cascade = !arguments.spare, .reason = arguments.reason};
  PANAL_ASSIGN_OR_RETURN(revocation.target, ParseRevocationTarget(target));
  PANAL_ASSIGN_OR_RETURN(const Fact fact, MakeFact(root.issuer(), revocation, absl::Now()));
  return EncodeFact(fact);
}

absl::StatusOr<v1::RevokeResponse> AskToRevoke(Client& client, const Arguments& arguments) {
  PANAL_ASSIGN_OR_RETURN(const std::string target, ResolveTarget(client, arguments.target));
  v1::RevokeRequest request;
  if (arguments.root_key.empty()) {
    request.set_target(target);
    request.set_reason(arguments.reason);
    request.set_spare(arguments.spare);
  } else {
    PANAL_ASSIGN_OR_RETURN(*request.mutable_fact(), SignWithRoot(client, arguments, target));
  }
  return client.Revoke(request);
}

int Revoke(const Context& context, const Arguments& arguments) {
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  const auto revoked = AskToRevoke(**client, arguments);
  if (!revoked.ok()) return Fail(revoked.status());
  const v1::Revocation& revocation = revoked->revocation();
  if (context.json()) {
    Json row = RevocationJson(revocation);
    row["already"] = revoked->already();
    PrintJson(row);
    return kExitOk;
  }
  const bool is_peer = !revocation.peer_id().empty();
  const std::string what = is_peer ? absl::StrCat("peer ", revocation.peer_id())
                                   : absl::StrCat("grant ", revocation.serial());
  WriteOut(absl::StrCat(what, revoked->already() ? " was revoked already, by " : " is revoked, by ",
                        revocation.by(), " at ", TimeText(revocation.time_s()), "\n"));
  return kExitOk;
}

}  // namespace

void AddRevoke(CLI::App& app, Context& context, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("revoke", "throw a peer out of the mesh, for good");
  verb->add_option("PEER|CREDENTIAL", arguments->target,
                   "a peer id or the beginning of one, the serial of a grant, or a ticket")
      ->required();
  verb->add_option("--reason", arguments->reason, "why, for people; at most 256 bytes")->required();
  verb->add_flag("--spare", arguments->spare, "those that it let in before stay");
  verb->add_option("--root-key", arguments->root_key,
                   "sign with the mesh's root key in this file instead of the peer's own")
      ->type_name("FILE");
  verb->add_option("--passphrase-file", arguments->passphrase_file,
                   "file whose first line decrypts the root key")
      ->type_name("FILE");
  verb->callback([&, arguments] { exit_code = Revoke(context, *arguments); });
}

}  // namespace panal::cli
