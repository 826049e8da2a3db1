#include "client/cli/verb.h"

#include <CLI/CLI.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/id_prefix.h"
#include "common/base/ids.h"
#include "common/base/status.h"

namespace panal::cli {
namespace {

constexpr AddVerb kVerbs[] = {AddInit,   AddStatus,  AddPeers,     AddAdd, AddLs,
                              AddStat,   AddRm,      AddSearch,    AddGet, AddCat,
                              AddDoctor, AddVersion, AddCompletion};

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Context::Connect() const {
  return Client::Connect({.address = api});
}

int Run(int argc, const char* const* argv) {
  CLI::App app("panal: share, find and fetch files on a mesh of peers", "panal");
  Context context;
  int exit_code = kExitOk;
  app.add_option("--api", context.api, "the peer to talk to, HOST:PORT")
      ->envname("PANAL_API")
      ->capture_default_str();
  app.add_option("-o,--output", context.output, "`table` for people or `json`, one object a line")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.require_subcommand(1);
  app.fallthrough();  // --api and -o may stand behind the verb.
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 search incomplete, "
      "5 no peer answers.");
  for (AddVerb add : kVerbs) add(app, context, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return exit_code;
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
                 absl::StrCat("no file whose id begins with ", text, ": ", summary->peers_reached(),
                              " peers were asked"));
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

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParseAttributes(
    const std::vector<std::string>& arguments) {
  std::vector<std::pair<std::string, std::string>> attributes;
  for (const std::string& argument : arguments) {
    size_t equals = argument.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error(ErrorReason::kAttributeInvalid,
                   absl::StrCat("--attr `", argument, "` is not KEY=VALUE"));
    }
    attributes.emplace_back(argument.substr(0, equals), argument.substr(equals + 1));
  }
  return attributes;
}

}  // namespace panal::cli
