// panal version: of the command line, and of the peer where one answers.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
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
  WriteOut(absl::StrCat("panal ", PANAL_VERSION, "\n"));
  if (!peer_version.empty()) {
    WriteOut(absl::StrCat("peer  ", Printable(peer_version), " (", context.api, ")\n"));
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
