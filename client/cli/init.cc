// panal init: makes a data directory with a key and a configuration file to start panald with.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/cli/verb.h"
#include "common/base/status.h"
#include "common/base/toml_string.h"
#include "common/base/utf8.h"
#include "common/identity/identity.h"
#include "common/model/join_address.h"

namespace panal::cli {
namespace {

struct Arguments {
  std::string data_dir;
  std::string mesh = "panal";
  std::optional<std::string> join;
};

absl::Status WriteConfig(const Arguments& arguments, const std::string& path) {
  if (std::ifstream(path)) {
    return Error(ErrorReason::kDataDirInvalid,
                 absl::StrCat(path, " exists: this directory was set up before; edit the file"),
                 {{"path", path}});
  }
  std::ofstream file(path);
  file << "# Settings of this peer; `panald --help` lists them all.\n"
       << "data-dir = " << TomlString(arguments.data_dir) << "\n"
       << "mesh = " << TomlString(arguments.mesh) << "\n"
       << "# Whoever knows the name of an open mesh and an address may join it.\n"
       << "policy = \"open\"\n";
  if (arguments.join) file << "join = [" << TomlString(*arguments.join) << "]\n";
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

// Makes the path one that panald finds wherever it is started; checks the rest as panald does.
absl::Status Complete(Arguments& arguments) {
  if (arguments.data_dir.empty()) {
    return Error(ErrorReason::kConfigInvalid, "--data-dir is empty");
  }
  std::error_code error;
  std::filesystem::path whole = std::filesystem::absolute(arguments.data_dir, error);
  if (error) {
    return Error(ErrorReason::kDataDirInvalid,
                 absl::StrCat("--data-dir ", arguments.data_dir, ": ", error.message()));
  }
  whole = whole.lexically_normal();
  arguments.data_dir = (whole.has_filename() ? whole : whole.parent_path()).string();
  if (!IsValidUtf8(arguments.data_dir)) {
    return Error(ErrorReason::kConfigInvalid,
                 "--data-dir: the path is not UTF-8, which a settings file must be");
  }
  PANAL_RETURN_IF_ERROR(ValidateMeshName(arguments.mesh));
  if (arguments.join) PANAL_RETURN_IF_ERROR(ParseJoinAddress(*arguments.join).status());
  return absl::OkStatus();
}

// `path` as a shell reads it back.
std::string ShellWord(const std::string& path) {
  bool plain = std::all_of(path.begin(), path.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || strchr("/._-+:@%", c) != nullptr;
  });
  return plain ? path : absl::StrCat("'", absl::StrReplaceAll(path, {{"'", "'\\''"}}), "'");
}

int Init(const Context& context, Arguments arguments) {
  if (absl::Status wrong = Complete(arguments); !wrong.ok()) return Fail(wrong);
  std::string config = arguments.data_dir + "/panald.toml";
  auto peer = MakePeer(arguments, config);
  if (!peer.ok()) return Fail(peer.status());
  if (context.json()) {
    PrintJson({{"peer_id", peer->ToText()}, {"mesh", arguments.mesh}, {"config", config}});
  } else {
    WriteOut(absl::StrCat("peer ", peer->ToText(), "\n"));
    Hint(Printable(absl::StrCat("next: panald --config ", ShellWord(config))));
  }
  return kExitOk;
}

}  // namespace

void AddInit(CLI::App& app, Context& context, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("init", "make a data directory, a key and a configuration");
  verb->add_option("--data-dir", arguments->data_dir, "folder for everything the peer keeps")
      ->type_name("PATH")
      ->required();
  verb->add_option("--mesh", arguments->mesh, "name of the mesh")->capture_default_str();
  verb->add_option("--join", arguments->join, "[PEERID@]HOST:PORT of a peer of the mesh");
  verb->callback([&, arguments] { exit_code = Init(context, *arguments); });
}

}  // namespace panal::cli
