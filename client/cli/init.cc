// panal init: makes a data directory with a key and a configuration file to start panald with; of an
// invite mesh also the mesh itself, with this peer as its first member.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
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
#include "absl/time/clock.h"
#include "client/cli/root_key.h"
#include "client/cli/verb.h"
#include "common/base/key_file_name.h"
#include "common/base/status.h"
#include "common/base/toml_string.h"
#include "common/base/utf8.h"
#include "common/identity/identity.h"
#include "common/identity/membership.h"
#include "common/identity/mesh_root.h"
#include "common/model/join_address.h"

namespace panal::cli {
namespace {

struct Arguments {
  std::string data_dir;
  std::string mesh = "panal";
  std::optional<std::string> join;
  std::string policy = "invite";
  std::string passphrase_file;
};

constexpr char kOpenMeaning[] =
    "An open mesh lets in whoever knows its name and reaches a peer of it.";

absl::Status WriteConfig(const Arguments& arguments, const std::string& path) {
  std::ofstream file(path);
  file << "# Settings of this peer; `panald --help` lists them all.\n"
       << "data-dir = " << TomlString(arguments.data_dir) << "\n"
       << "mesh = " << TomlString(arguments.mesh) << "\n"
       << "policy = " << TomlString(arguments.policy) << "\n";
  if (arguments.policy == "open") file << "# " << kOpenMeaning << "\n";
  if (arguments.join) file << "join = [" << TomlString(*arguments.join) << "]\n";
  file.close();
  if (file) return absl::OkStatus();
  return Error(ErrorReason::kDataDirInvalid, absl::StrCat("cannot write ", path), {{"path", path}});
}

// A new root key; or the one that is there, of a run that was cut short or of a mesh that lost its
// admins.
absl::StatusOr<MeshRoot> MakeRoot(const Arguments& arguments, const std::string& passphrase) {
  const std::string path = absl::StrCat(arguments.data_dir, "/", kMeshRootFileName);
  if (std::filesystem::exists(path)) return MeshRoot::Load(path, passphrase);
  MeshRoot root = MeshRoot::Generate();
  PANAL_RETURN_IF_ERROR(root.Save(arguments.data_dir, passphrase));
  return root;
}

// Makes the mesh and lets this peer in as admin.
absl::Status MakeMesh(const Arguments& arguments, const Identity& identity) {
  PANAL_ASSIGN_OR_RETURN(const std::string passphrase, ReadPassphrase(arguments.passphrase_file));
  PANAL_ASSIGN_OR_RETURN(const MeshRoot root, MakeRoot(arguments, passphrase));
  PANAL_ASSIGN_OR_RETURN(
      GrantChain chain,
      IssueGrant(root.issuer(), {.subject = identity.public_key(), .role = Role::kAdmin},
                 absl::Now()));
  return SaveMembership(arguments.data_dir,
                        {.mesh_name = arguments.mesh, .chain = std::move(chain)});
}

absl::StatusOr<PeerId> MakePeer(const Arguments& arguments, const std::string& config) {
  if (mkdir(arguments.data_dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error(ErrorReason::kDataDirInvalid,
                 absl::StrCat("cannot make ", arguments.data_dir, ": ", strerror(errno)),
                 {{"path", arguments.data_dir}});
  }
  PANAL_ASSIGN_OR_RETURN(const auto membership, LoadMembership(arguments.data_dir));
  if (membership) {
    return Error(ErrorReason::kDataDirInvalid,
                 absl::StrCat(arguments.data_dir, " belongs to the mesh ", membership->mesh_name,
                              " already; another mesh needs another directory"),
                 {{"path", arguments.data_dir}});
  }
  if (std::ifstream(config)) {
    return Error(ErrorReason::kDataDirInvalid,
                 absl::StrCat(config, " exists: this directory was set up before; edit the file"),
                 {{"path", config}});
  }
  PANAL_ASSIGN_OR_RETURN(Identity identity, Identity::LoadOrCreate(arguments.data_dir));
  if (arguments.policy == "invite") PANAL_RETURN_IF_ERROR(MakeMesh(arguments, identity));
  // Last: whoever is interrupted may begin again.
  PANAL_RETURN_IF_ERROR(WriteConfig(arguments, config));
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
  if (arguments.join && arguments.policy == "invite") {
    return Error(
        ErrorReason::kConfigInvalid,
        "--join is for open meshes; into one of invitations leads `panal join TICKET`, and "
        "`panal init` makes a new one");
  }
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
    PrintJson({{"peer_id", peer->ToText()},
               {"mesh", arguments.mesh},
               {"policy", arguments.policy},
               {"config", config}});
  } else {
    WriteOut(absl::StrCat("peer ", peer->ToText(), "\n"));
    if (arguments.policy == "open") WriteOut(absl::StrCat(kOpenMeaning, "\n"));
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
  verb->add_option(
          "--policy", arguments->policy,
          "who may join: `invite` (whoever has a ticket) or `open` (whoever knows the name)")
      ->check(CLI::IsMember({"invite", "open"}))
      ->capture_default_str();
  verb->add_option("--join", arguments->join, "[PEERID@]HOST:PORT of a peer of the open mesh");
  verb->add_option("--passphrase-file", arguments->passphrase_file,
                   "file whose first line encrypts the mesh's root key");
  verb->callback([&, arguments] { exit_code = Init(context, *arguments); });
}

}  // namespace panal::cli
