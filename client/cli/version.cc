// panal version: of the command line, and of the peer where one answers.
#include <nlohmann/json.hpp>

#include "client/cli/verb.h"

namespace panal::cli {
namespace {

int Version(const Context& context) {
  std::string peer_version;
  if (auto client = context.Connect(); client.ok()) {
    if (auto peer = (*client)->GetPeer(); peer.ok()) peer_version = peer->version();
  }
  if (context.json()) {
    PrintJson(
        {{"panal", PANAL_VERSION}, {"peer", peer_version.empty() ? Json() : Json(peer_version)}});
    return kExitOk;
  }
  std::printf("panal %s\n", PANAL_VERSION);
  if (!peer_version.empty()) {
    std::printf("peer  %s (%s)\n", peer_version.c_str(), context.api.c_str());
  }
  return kExitOk;
}

}  // namespace

void AddVersion(CLI::App& app, Context& context, int& exit_code) {
  app.add_subcommand("version", "versions of this program and of the peer")->callback([&] {
    exit_code = Version(context);
  });
}

}  // namespace panal::cli
