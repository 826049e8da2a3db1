// panal init: makes a data directory with a key and a configuration file to start panald with.
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "client/cli/verb.h"
#include "common/base/status.h"
#include "common/identity/identity.h"

namespace panal::cli {
namespace {

struct Arguments {
  std::string data_dir;
  std::string mesh = "panal";
  std::string join;
};

absl::Status WriteConfig(const Arguments& arguments, const std::string& path) {
  if (std::ifstream(path)) {
    return Error(ErrorReason::kDataDirInvalid,
                 absl::StrCat(path, " exists: this directory was set up before; edit the file"),
                 {{"path", path}});
  }
  std::ofstream file(path);
  file << "# Settings of this peer; `panald --help` lists them all.\n"
       << "data-dir = " << Json(arguments.data_dir).dump() << "\n"
       << "mesh = " << Json(arguments.mesh).dump() << "\n"
       << "# Whoever knows the name of an open mesh and an address may join it.\n"
       << "policy = \"open\"\n";
  if (!arguments.join.empty()) file << "join = [" << Json(arguments.join).dump() << "]\n";
  file.close();
  if (file) return absl::OkStatus();
  return Error(ErrorReason::kDataDirInvalid, absl::StrCat("cannot write ", path), {{"path", path}});
}

absl::StatusOr<PeerId> MakePeer(const Arguments& arguments, const std::string& config) {
  if (mkdir(arguments.data_dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error(ErrorReason::kDataDirInvalid,
                 absl::StrCat("cannot make ", arguments.data_dir, ": ", strerror(errno)),
                 {{"path", arguments.data_dir}});
  }
  PANAL_RETURN_IF_ERROR(WriteConfig(arguments, config));
  PANAL_ASSIGN_OR_RETURN(Identity identity, Identity::LoadOrCreate(arguments.data_dir));
  return identity.peer_id();
}

int Init(const Context& context, const Arguments& arguments) {
  std::string config = arguments.data_dir + "/panald.toml";
  auto peer = MakePeer(arguments, config);
  if (!peer.ok()) return Fail(peer.status());
  if (context.json()) {
    PrintJson({{"peer_id", peer->ToText()}, {"mesh", arguments.mesh}, {"config", config}});
  } else {
    std::printf("peer %s\nnext: panald --config %s\n", peer->ToText().c_str(), config.c_str());
  }
  return kExitOk;
}

}  // namespace

void AddInit(CLI::App& app, Context& context, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("init", "make a data directory, a key and a configuration");
  verb->add_option("--data-dir", arguments->data_dir, "folder for everything the peer keeps")
      ->required();
  verb->add_option("--mesh", arguments->mesh, "name of the mesh")->capture_default_str();
  verb->add_option("--join", arguments->join, "[PEERID@]HOST:PORT of a peer of the mesh");
  verb->callback([&, arguments] { exit_code = Init(context, *arguments); });
}

}  // namespace panal::cli
