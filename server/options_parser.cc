#include "server/options_parser.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/base/nearest.h"
#include "common/base/status.h"
#include "common/base/toml_string.h"
#include "common/base/units.h"
#include "server/runtime/data_dir.h"
#include "server/settings_file.h"

namespace panal {
namespace {

// Settings as text, before they are checked and converted.
struct Text {
  std::string config;
  std::string data_dir = DefaultDataDir();
  std::string mesh = kMeshNameDefault;
  std::string policy = "invite";
  std::string ticket_file;
  std::string mesh_listen = "0.0.0.0:7401";
  std::string api_listen = "127.0.0.1:7400";
  std::string api_token_file;
  std::string http_listen = "127.0.0.1:7402";
  std::vector<std::string> join;
  std::vector<std::string> advertise;
  std::vector<std::string> root;
  bool listen_open = false;
  std::string storage_max = "0";
  std::string stop_grace = "5s";
  std::string log_level = "info";
  double capacity = 1.0;
  int workers = 2;
  double policy_lambda = 9.21;
  double saturated_factor = 4.0;
  bool print_config = false;
};

absl::Status Invalid(absl::string_view message) {
  return Error(ErrorReason::kConfigInvalid, message);
}

// `--mesh-listen` is PANAL_MESH_LISTEN in the environment.
std::string EnvironmentName(const std::string& name) {
  return absl::StrCat("PANAL_", absl::AsciiStrToUpper(absl::StrReplaceAll(name, {{"-", "_"}})));
}

void Define(CLI::App& app, Text& text) {
  auto option = [&](const std::string& name, auto& value, const std::string& help) {
    return app.add_option("--" + name, value, help)
        ->envname(EnvironmentName(name))
        ->capture_default_str();
  };
  auto list = [&](const std::string& name, std::vector<std::string>& value,
                  const std::string& help) {
    return option(name, value, help)->delimiter(',')->allow_extra_args(false);
  };
  app.add_option("--config", text.config, "TOML file with these settings")
      ->envname("PANAL_CONFIG")
      ->configurable(false);
  option("data-dir", text.data_dir, "folder that holds everything the peer keeps");
  option("mesh", text.mesh, "name of the mesh");
  option("policy", text.policy,
         "who may join: `invite` (whoever has a ticket) or `open` (whoever knows the name)");
  option("ticket-file", text.ticket_file,
         "file with the ticket to join with, where the peer is in no mesh yet");
  option("mesh-listen", text.mesh_listen, "HOST:PORT for other peers (mutual TLS)");
  option("api-listen", text.api_listen, "HOST:PORT for programs on this machine (gRPC)");
  option("api-token-file", text.api_token_file,
         "file with the tokens that programs need, a line each: ROLE TOKEN [NAME]");
  option("http-listen", text.http_listen, "HOST:PORT for /healthz and /metrics, or `off`");
  list("join", text.join, "[PEERID@]HOST:PORT of peers of the mesh, comma-separated");
  list("advertise", text.advertise, "HOST:PORT told to other peers, comma-separated");
  list("root", text.root, "folders that AddPath may read, comma-separated");
  app.add_flag("--listen-open", text.listen_open,
               "allow API and HTTP listeners that other machines reach without access control")
      ->envname("PANAL_LISTEN_OPEN");
  option("storage-max", text.storage_max, "most bytes of content kept, e.g. 20GiB; 0: no limit");
  option("stop-grace", text.stop_grace, "time that calls under way get when the peer stops");
  option("log-level", text.log_level, "debug, info, warning or error");
  option("capacity", text.capacity, "share of the mesh's load the peer takes, relative to 1");
  option("workers", text.workers, "worker threads of each class (control, search, calls, bulk)");
  option("policy-lambda", text.policy_lambda,
         "the mesh's copies policy: a page misses a full query with probability e^-lambda; the "
         "same on every peer of a mesh");
  option("saturated-factor", text.saturated_factor,
         "up to this many times lambda peers everything goes to everyone; 0: never");
  app.add_flag("--print-config", text.print_config, "print the settings in force and exit")
      ->configurable(false);
  app.set_version_flag("--version", absl::StrCat("panald ", kVersion));
}

std::string Suggestion(const std::string& name, const std::vector<std::string>& known) {
  std::string nearest = Nearest(name, known);
  return nearest.empty() ? "; --help lists the settings"
                         : absl::StrCat("; did you mean `", nearest, "`?");
}

std::vector<std::string> SettingNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_lnames().empty()) names.push_back(option->get_lnames()[0]);
  }
  return names;
}

// Names in the environment that are no settings of panald's, and not meant to be: those of `panal`,
// of the scripts and tests, and what Kubernetes and Docker tell a container of services whose name
// begins with panal.
bool IsForOthers(absl::string_view name, absl::string_view value) {
  static constexpr absl::string_view kNames[] = {
      "PANAL_API",  "PANAL_BUILD_DIR",      "PANAL_HOST", "PANAL_IMAGE",
      "PANAL_LINK", "PANAL_MESH_DIR",       "PANAL_NAME", "PANAL_PORT_BASE",
      "PANAL_SEED", "PANAL_REWRITE_GOLDEN", "PANAL_TOKEN"};
  static constexpr absl::string_view kPrefixes[] = {"PANAL_ENV_", "PANAL_HOST_", "PANAL_NETNS_"};
  if (std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames)) return true;
  for (absl::string_view prefix : kPrefixes) {
    if (absl::StartsWith(name, prefix)) return true;
  }
  if (absl::EndsWith(name, "_SERVICE_HOST") || absl::StrContains(name, "_SERVICE_PORT"))
    return true;
  // PANAL_PORT=tcp://10.0.0.1:7400, PANAL_PORT_7400_TCP=… and more that begin so.
  const size_t port = name.find("_PORT");
  if (port == absl::string_view::npos) return false;
  const absl::string_view rest = name.substr(port + strlen("_PORT"));
  if (rest.empty()) return absl::StrContains(value, "://");
  return rest.size() > 1 && rest[0] == '_' &&
         absl::ascii_isdigit(static_cast<unsigned char>(rest[1]));
}

absl::Status CheckEnvironment(const CLI::App& app) {
  std::vector<std::string> known = {"PANAL_CONFIG"};
  for (const std::string& name : SettingNames(app)) {
    if (app.get_option("--" + name)->get_configurable()) known.push_back(EnvironmentName(name));
  }
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::pair<std::string, std::string> variable = absl::StrSplit(*entry, absl::MaxSplits('=', 1));
    const auto& [name, value] = variable;
    if (!absl::StartsWith(name, "PANAL_") || IsForOthers(name, value)) continue;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return Invalid(
        absl::StrCat("unknown name `", name, "` in the environment", Suggestion(name, known)));
  }
  return absl::OkStatus();
}

// Why the file cannot give `option` this value, or nothing.
std::string Misfit(const CLI::Option& option, SettingsItem::Kind kind) {
  const bool is_switch = option.get_items_expected_max() == 0;
  if (is_switch && kind != SettingsItem::Kind::kSwitch) return "is true or false, without quotes";
  if (!is_switch && kind == SettingsItem::Kind::kSwitch) return "is no switch";
  if (kind == SettingsItem::Kind::kList && option.get_delimiter() != ',') return "takes one value";
  return "";
}

// Applies one `key = value` of the file where neither flag nor environment said anything.
absl::Status ApplyItem(CLI::App& app, const SettingsItem& item) {
  CLI::Option* option = app.get_option_no_throw("--" + item.key);
  if (option == nullptr || !option->get_configurable()) {
    return Invalid(absl::StrCat(item.where, ": unknown key `", item.key, "`",
                                Suggestion(item.key, SettingNames(app))));
  }
  if (std::string misfit = Misfit(*option, item.kind); !misfit.empty()) {
    return Invalid(absl::StrCat(item.where, ": `", item.key, "` ", misfit));
  }
  if (option->count() > 0 || item.values.empty()) return absl::OkStatus();
  try {
    for (const std::string& value : item.values) option->add_result(value);
    option->run_callback();
  } catch (const CLI::ParseError& error) {
    return Invalid(absl::StrCat(item.where, ": ", error.what()));
  }
  return absl::OkStatus();
}

absl::Status ApplyFile(CLI::App& app, const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  PANAL_ASSIGN_OR_RETURN(std::vector<SettingsItem> items, ReadSettingsFile(path));
  for (const SettingsItem& item : items) PANAL_RETURN_IF_ERROR(ApplyItem(app, item));
  return absl::OkStatus();
}

absl::StatusOr<NodeOptions> Convert(const Text& text) {
  NodeOptions options;
  options.data_dir = text.data_dir;
  options.mesh_name = text.mesh;
  options.policy = text.policy;
  options.ticket_file = text.ticket_file;
  options.mesh_listen = text.mesh_listen;
  options.api_listen = text.api_listen;
  options.api_token_file = text.api_token_file;
  options.http_listen = text.http_listen;
  for (const std::string& join : text.join) {
    PANAL_ASSIGN_OR_RETURN(JoinAddress address, ParseJoinAddress(join));
    options.join.push_back(std::move(address));
  }
  options.advertise = text.advertise;
  options.roots = text.root;
  options.listen_open = text.listen_open;
  auto storage = ParseSize(text.storage_max);
  if (!storage.ok()) return Invalid(absl::StrCat("--storage-max: ", storage.status().message()));
  options.storage_max_bytes = *storage;
  auto grace = ParseDuration(text.stop_grace);
  if (!grace.ok()) return Invalid(absl::StrCat("--stop-grace: ", grace.status().message()));
  options.stop_grace = *grace;
  options.log_level = text.log_level;
  for (WorkClassOptions& work_class : options.dispatcher.classes) {
    work_class.threads = text.workers;
  }
  options.core.capacity = text.capacity;
  options.core.search.lambda = text.policy_lambda;
  options.core.search.saturated_factor = text.saturated_factor;
  PANAL_RETURN_IF_ERROR(options.Validate());
  return options;
}

// The shortest text that is read as the same number.
std::string NumberText(double value) {
  std::string text = absl::StrCat(value);
  double read = 0;
  return absl::SimpleAtod(text, &read) && read == value ? text : absl::StrFormat("%.17g", value);
}

std::string QuotedList(const std::vector<std::string>& values) {
  std::string out = "[";
  for (const std::string& value : values) {
    absl::StrAppend(&out, out.size() == 1 ? "" : ", ", TomlString(value));
  }
  return out + "]";
}

std::string PrintConfig(const Text& text) {
  return absl::StrCat(
      "data-dir = ", TomlString(text.data_dir), "\nmesh = ", TomlString(text.mesh),
      "\npolicy = ", TomlString(text.policy), "\nticket-file = ", TomlString(text.ticket_file),
      "\nmesh-listen = ", TomlString(text.mesh_listen),
      "\napi-listen = ", TomlString(text.api_listen),
      "\napi-token-file = ", TomlString(text.api_token_file),
      "\nhttp-listen = ", TomlString(text.http_listen), "\njoin = ", QuotedList(text.join),
      "\nadvertise = ", QuotedList(text.advertise), "\nroot = ", QuotedList(text.root),
      "\nlisten-open = ", text.listen_open ? "true" : "false",
      "\nstorage-max = ", TomlString(text.storage_max),
      "\nstop-grace = ", TomlString(text.stop_grace), "\nlog-level = ", TomlString(text.log_level),
      "\ncapacity = ", NumberText(text.capacity), "\nworkers = ", text.workers,
      "\npolicy-lambda = ", NumberText(text.policy_lambda),
      "\nsaturated-factor = ", NumberText(text.saturated_factor), "\n");
}

std::string CapturedOutput(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out;
  std::ostringstream ignored;
  app.exit(error, out, ignored);
  return out.str();
}

// CLI11 says which argument it did not expect; the suggestion is ours.
absl::Status Unexpected(const CLI::App& app, const CLI::ParseError& error) {
  std::string message = error.what();
  size_t at = message.find("--");
  std::string suggestion;
  if (at != std::string::npos) {
    std::vector<std::string> words =
        absl::StrSplit(message.substr(at + 2), absl::ByAnyChar("= "), absl::SkipEmpty());
    if (!words.empty()) suggestion = Suggestion(words[0], SettingNames(app));
  }
  return Invalid(absl::StrCat(message, suggestion));
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv) {
  CLI::App app("panald: one peer of a Panal mesh", "panald");
  Text text;
  Define(app, text);
  try {
    app.parse(argc, argv);
    PANAL_RETURN_IF_ERROR(CheckEnvironment(app));
    PANAL_RETURN_IF_ERROR(ApplyFile(app, text.config));
  } catch (const CLI::ExtrasError& error) {
    return Unexpected(app, error);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return Invalid(error.what());
    return CommandLine{.print = CapturedOutput(app, error)};
  }
  PANAL_ASSIGN_OR_RETURN(NodeOptions options, Convert(text));
  CommandLine command{.options = std::move(options)};
  if (text.print_config) command.print = PrintConfig(text);
  return command;
}

}  // namespace panal
