// panal peers: the neighbors of the peer, or where one peer of the mesh is.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/verb.h"
#include "common/base/units.h"

namespace panal::cli {
namespace {

int ListNeighbors(const Context& context, Client& client) {
  auto neighbors = client.ListNeighbors();
  if (!neighbors.ok()) return Fail(neighbors.status());
  Table table({"PEER", "ADDRESS", "LINK", "SINCE", "VERSION"});
  for (const v1::Neighbor& neighbor : *neighbors) {
    if (context.json()) {
      PrintJson({{"peer_id", neighbor.peer_id()},
                 {"addresses", std::vector<std::string>(neighbor.addresses().begin(),
                                                        neighbor.addresses().end())},
                 {"outbound", neighbor.outbound()},
                 {"connected_s", neighbor.connected_s()},
                 {"version", neighbor.version()}});
      continue;
    }
    table.Add({neighbor.peer_id(), absl::StrJoin(neighbor.addresses(), " "),
               neighbor.outbound() ? "dialled" : "accepted",
               FormatClock(absl::Seconds(neighbor.connected_s())), neighbor.version()});
  }
  if (!context.json()) table.Print();
  return kExitOk;
}

int FindPeer(const Context& context, Client& client, const std::string& prefix) {
  auto peer = client.ResolvePeer(prefix);
  if (!peer.ok()) return Fail(peer.status());
  if (context.json()) {
    PrintJson({{"peer_id", peer->peer_id()},
               {"addresses",
                std::vector<std::string>(peer->addresses().begin(), peer->addresses().end())}});
  } else {
    Table table({"PEER", "ADDRESS"});
    table.Add({peer->peer_id(), absl::StrJoin(peer->addresses(), " ")});
    table.Print();
  }
  return kExitOk;
}

}  // namespace

void AddPeers(CLI::App& app, Context& context, int& exit_code) {
  auto prefix = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("peers", "the neighbors, or where one peer of the mesh is");
  verb->add_option("PEER", *prefix, "a peer id or a prefix of one: look it up in the mesh");
  verb->callback([&, prefix] {
    auto client = context.Connect();
    if (!client.ok()) {
      exit_code = Fail(client.status());
    } else if (prefix->empty()) {
      exit_code = ListNeighbors(context, **client);
    } else {
      exit_code = FindPeer(context, **client, *prefix);
    }
  });
}

}  // namespace panal::cli
