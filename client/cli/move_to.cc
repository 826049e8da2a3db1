// panal move-to: says that the peer goes on with the key of another.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "client/cli/members_output.h"
#include "client/cli/verb.h"
#include "common/base/status.h"
#include "common/identity/identity.h"
#include "common/model/object_ref.h"

namespace panal::cli {
namespace {

// The key of a peer that answers in the mesh. The peer asked through says who answers, not what; so
// the key must be that of the id.
absl::StatusOr<std::string> KeyOf(const Context& context, const std::string& peer) {
  const std::optional<PeerId> id = PeerId::FromText(peer);
  if (!id) return Error(ErrorReason::kPeerIdInvalid, absl::StrCat(peer, " is no peer id"));
  PANAL_ASSIGN_OR_RETURN(const auto client,
                         context.Connect(ObjectRef{*id, "panal.v1.PeerObject", ""}.ToText()));
  PANAL_ASSIGN_OR_RETURN(const v1::GetPeerResponse answer, client->GetPeer());
  if (PeerIdOfPublicKey(answer.public_key()) == id) return answer.public_key();
  return Error(ErrorReason::kPeerIdMismatch,
               absl::StrCat("peer ", peer, " says it has a key that is not that of its id"));
}

absl::StatusOr<v1::MoveToResponse> AskToMove(const Context& context, const std::string& text) {
  PANAL_ASSIGN_OR_RETURN(const auto client, context.Connect());
  PANAL_ASSIGN_OR_RETURN(const v1::ResolvePeerResponse peer, client->ResolvePeer(text));
  PANAL_ASSIGN_OR_RETURN(const std::string key, KeyOf(context, peer.peer_id()));
  return client->MoveTo(key);
}

int MoveTo(const Context& context, const std::string& peer) {
  const auto moved = AskToMove(context, peer);
  if (!moved.ok()) return Fail(moved.status());
  const v1::Revocation& revocation = moved->revocation();
  if (context.json()) {
    Json row = RevocationJson(revocation);
    row["already"] = moved->already();
    PrintJson(row);
    return kExitOk;
  }
  WriteOut(absl::StrCat("peer ", revocation.peer_id(),
                        moved->already() ? " moved already, to " : " moved to ",
                        revocation.moved_to(), " at ", TimeText(revocation.time_s()), "\n"));
  Hint("nobody lets this peer in any more: stop it, and go on with the other");
  return kExitOk;
}

}  // namespace

void AddMoveTo(CLI::App& app, Context& context, int& exit_code) {
  auto peer = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand(
      "move-to", "say that the peer goes on as another one; its own key is void, for good");
  verb->add_option("PEER", *peer, "id of the peer that takes its place, which must be in the mesh")
      ->required();
  verb->callback([&, peer] { exit_code = MoveTo(context, *peer); });
}

}  // namespace panal::cli
