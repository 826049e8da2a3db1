#include "client/cli/verb.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/id_prefix.h"
#include "common/base/ids.h"
#include "common/base/nearest.h"
#include "common/base/status.h"
#include "common/base/units.h"
#include "common/identity/api_token.h"
#include "common/model/record.h"

namespace panal::cli {
namespace {

constexpr AddVerb kVerbs[] = {AddInit,   AddInvite, AddJoin,    AddMembers,    AddRevoke,
                              AddMoveTo, AddStatus, AddPeers,   AddAdd,        AddLs,
                              AddStat,   AddRm,     AddSearch,  AddGet,        AddCat,
                              AddToken,  AddDoctor, AddVersion, AddCompletion, AddHelp};

std::string CheckApi(const std::string& text) {
  return IsValidAddress(text) ? "" : absl::StrCat("`", text, "` is not HOST:PORT");
}

// What CLI11 calls a missing subcommand or an unexpected argument, in the words of this program;
// empty for any other error.
std::string Unknown(const CLI::App& app) {
  std::vector<std::string> verbs = VerbNames(app);
  std::vector<std::string> left = app.remaining(/*recurse=*/true);
  auto word = std::find_if(left.begin(), left.end(),
                           [](const std::string& text) { return !absl::StartsWith(text, "-"); });
  const std::vector<CLI::App*> given = app.get_subcommands();
  if (given.empty() && !left.empty() && word == left.begin()) {
    return absl::StrCat("there is no verb `", *word, "`",
                        Suggestion(*word, verbs, "; `panal help` lists them"));
  }
  if (given.empty() && left.empty()) return "a verb is missing; `panal help` lists them";
  if (left.empty()) return "";
  if (word == left.begin()) return absl::StrCat("unexpected argument `", *word, "`");
  std::string option = left[0].substr(0, left[0].find('='));
  std::vector<std::string> options = OptionsOf(app);
  for (const CLI::App* verb : given) {
    for (const std::string& own : OptionsOf(*verb)) {
      if (own == option) return absl::StrCat("`", own, "` stands behind `", verb->get_name(), "`");
      options.push_back(own);
    }
  }
  return absl::StrCat("there is no option `", option, "`",
                      Suggestion(option, options, "; --help lists them"));
}

// Prints help and version to stdout, what is wrong to stderr.
int ExitAtParsing(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out;
  std::ostringstream ignored;
  if (app.exit(error, out, ignored) == 0) {
    WriteOut(out.str());
    return kExitOk;
  }
  std::string message;
  // By the code: CLI11 names the error after the subcommand.
  const auto code = static_cast<CLI::ExitCodes>(error.get_exit_code());
  if (code == CLI::ExitCodes::RequiredError || code == CLI::ExitCodes::ExtrasError) {
    message = Unknown(app);
  }
  if (message.empty()) message = absl::StrCat(error.what(), "; --help says more");
  std::fprintf(stderr, "panal: %s\n", Printable(message).c_str());
  return kExitUsage;
}

// What is lost on its way to stdout was not done, whatever the verb says.
int Finish(int exit_code) {
  absl::Status written = FinishOutput();
  return written.ok() ? exit_code : Fail(written);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Context::Connect(const std::string& object) const {
  ClientOptions options{.address = api, .object = object};
  if (!token_file.empty()) {
    PANAL_ASSIGN_OR_RETURN(options.token, ReadApiToken(token_file, "--token-file"));
  } else if (const char* token = std::getenv("PANAL_TOKEN"); token != nullptr) {
    options.token = token;
    if (!options.token.empty() && !IsApiToken(options.token)) {
      return Error(ErrorReason::kConfigInvalid,
                   absl::StrCat("PANAL_TOKEN of ", options.token.size(),
                                " characters is no token: ", kApiTokenSizeMin, " to ",
                                kApiTokenSizeMax, " of a-z, A-Z, 0-9 and -._~+/"));
    }
  }
  return Client::Connect(std::move(options));
}

std::string Suggestion(const std::string& word, const std::vector<std::string>& known,
                       const std::string& otherwise) {
  std::string nearest = Nearest(word, known);
  return nearest.empty() ? otherwise : absl::StrCat("; did you mean `", nearest, "`?");
}

std::vector<std::string> VerbNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands({})) names.push_back(verb->get_name());
  return names;
}

std::vector<std::string> OptionsOf(const CLI::App& app) {
  std::vector<std::string> options;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
    for (const std::string& name : option->get_snames()) options.push_back("-" + name);
  }
  return options;
}

int Run(int argc, const char* const* argv) {
  CLI::App app("panal: share, find and fetch files on a mesh of peers", "panal");
  Context context;
  int exit_code = kExitOk;
  app.add_option("--api", context.api, "the peer to talk to, HOST:PORT")
      ->envname("PANAL_API")
      ->check(CheckApi)
      ->capture_default_str();
  app.add_option("--token-file", context.token_file,
                 "file with the token that the peer's API asks for; else PANAL_TOKEN is the token")
      ->type_name("PATH");
  app.add_option("-o,--output", context.output, "`table` for people or `json`, one object a line")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.set_version_flag("--version", absl::StrCat("panal ", PANAL_VERSION));
  app.require_subcommand(1);
  app.fallthrough();  // --api, --token-file and -o may stand behind the verb.
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 search incomplete, "
      "5 no peer answers.");
  for (AddVerb add : kVerbs) add(app, context, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = ExitAtParsing(app, error);
  }
  return Finish(exit_code);
}

absl::StatusOr<std::string> ResolveFile(Client& client, const std::string& text) {
  if (auto parsed = ParseIdPrefix(text, IdKind::kFile); !parsed.ok()) {
    return Error(ReasonOf(parsed.status()),
                 absl::StrCat(parsed.status().message(), "; `panal search` finds ids by name"));
  }
  if (text.size() == FileId::kTextSize) return text;
  absl::StatusOr<v1::FileInfo> known = client.GetFile(text);
  if (known.ok()) return known->id();
  if (!absl::IsNotFound(known.status())) return known.status();
  std::set<std::string> ids;
  v1::SearchRequest request;
  request.set_query(absl::StrCat("kind:file id:", text));
  absl::StatusOr<v1::SearchSummary> summary = client.Search(request, [&](const v1::Hit& hit) {
    ids.insert(hit.id());
    return ids.size() < 8;
  });
  if (!summary.ok()) return summary.status();
  if (ids.size() == 1) return *ids.begin();
  if (ids.empty()) {
    return Error(ErrorReason::kSourceNotFound,
                 absl::StrCat("no file whose id begins with ", text, ": ",
                              Counted(summary->peers_reached(), "peer"),
                              summary->peers_reached() == 1 ? " was asked" : " were asked"));
  }
  std::string list;
  for (const std::string& id : ids) absl::StrAppend(&list, "\n  ", id);
  return Error(ErrorReason::kFileAmbiguous,
               absl::StrCat("prefix ", text, " fits several files; give more characters:", list));
}

absl::StatusOr<v1::FetchFileResponse> Fetch(Client& client, const std::string& id,
                                            const std::string& timeout) {
  v1::FetchFileRequest request;
  request.set_id(id);
  request.set_timeout(timeout);
  Progress progress;
  absl::StatusOr<v1::FetchFileResponse> last =
      client.FetchFile(request, [&](const v1::FetchFileResponse& now) {
        progress.Show(now.held_bytes(), now.total_bytes(), now.sources(), now.waiting());
      });
  progress.Done();
  return last;
}

int64_t SizeOf(const v1::FileInfo& file) {
  return file.kind() == "directory" ? file.total_bytes() : file.size_bytes();
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParseAttributes(
    const std::vector<std::string>& arguments) {
  std::vector<std::pair<std::string, std::string>> attributes;
  std::set<std::string> keys;
  for (const std::string& argument : arguments) {
    size_t equals = argument.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error(ErrorReason::kAttributeInvalid,
                   absl::StrCat("--attr `", argument, "` is not KEY=VALUE"));
    }
    std::string key = argument.substr(0, equals);
    if (!keys.insert(key).second) {
      return Error(ErrorReason::kAttributeInvalid,
                   absl::StrCat("--attr ", key, " is given twice; a file has one value of it"));
    }
    attributes.emplace_back(key, argument.substr(equals + 1));
  }
  return attributes;
}

}  // namespace panal::cli
