// panal status: what the peer says of itself.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/verb.h"
#include "common/base/units.h"
#include "common/identity/grant.h"

namespace panal::cli {
namespace {

// What the mesh's policy is, and this peer's part in it.
std::string Admission(const v1::GetPeerResponse& peer) {
  if (peer.role().empty()) return absl::StrCat(peer.policy(), ", waits to be let in");
  if (peer.credential_expires_s() == 0) return absl::StrCat(peer.policy(), ", ", peer.role());
  return absl::StrCat(peer.policy(), ", ", peer.role(), " until ",
                      FormatUtc(absl::FromUnixSeconds(peer.credential_expires_s())));
}

int Status(const Context& context) {
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  auto peer = (*client)->GetPeer();
  if (!peer.ok()) return Fail(peer.status());
  if (context.json()) {
    PrintJson({{"peer_id", peer->peer_id()},
               {"mesh", peer->mesh()},
               {"version", peer->version()},
               {"neighbors", peer->neighbors()},
               {"mesh_size", peer->mesh_size()},
               {"files", peer->files()},
               {"uptime_s", peer->uptime_s()},
               {"addresses",
                std::vector<std::string>(peer->addresses().begin(), peer->addresses().end())},
               {"stored_bytes", peer->stored_bytes()},
               {"fetches", peer->fetches()},
               {"policy", peer->policy()},
               {"role", peer->role()},
               {"credential_expires_s", peer->credential_expires_s()}});
    return kExitOk;
  }
  Table table({"PEER", peer->peer_id()});
  table.Add({"mesh", absl::StrCat(peer->mesh(), ", about ", Counted(peer->mesh_size(), "peer"))});
  table.Add({"admission", Admission(*peer)});
  table.Add({"neighbors", absl::StrCat(peer->neighbors())});
  table.Add({"files", absl::StrCat(peer->files(), " published, ", FormatSize(peer->stored_bytes()),
                                   " stored")});
  table.Add({"addresses", absl::StrJoin(peer->addresses(), " ")});
  table.Add({"uptime", FormatClock(absl::Seconds(peer->uptime_s()))});
  table.Add({"version", peer->version()});
  table.Print();
  if (peer->role().empty()) {
    Hint("waits to be let into a mesh: panal join TICKET");
  } else if (peer->neighbors() == 0) {
    Hint("no neighbors yet: `panal doctor` says why");
  }
  return kExitOk;
}

}  // namespace

void AddStatus(CLI::App& app, Context& context, int& exit_code) {
  app.add_subcommand("status", "what the peer says of itself")->callback([&] {
    exit_code = Status(context);
  });
}

}  // namespace panal::cli
