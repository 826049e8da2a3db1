// panal search: finds what the mesh publishes, and says how complete the answer is.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/search_output.h"
#include "client/cli/verb.h"
#include "client/cli/watch.h"
#include "common/base/units.h"

namespace panal::cli {
namespace {

struct Arguments {
  std::vector<std::string> words;
  double recall = 0.99;
  int limit = 100;
  int first = 0;
  std::string timeout = "10s";
  bool watch = false;
};

// The command that goes on from the first hit, or nothing for a kind that has none.
std::string NextCommand(const std::string& kind, const std::string& id) {
  if (kind == "file" || kind == "directory") return absl::StrCat("next: panal get ", id);
  return kind == "peer" ? absl::StrCat("next: panal peers ", id) : "";
}

void PrintSummary(const v1::SearchSummary& summary) {
  std::string line = absl::StrFormat("%s; %d of about %s asked: recall %.4f%s; %d ms",
                                     Counted(summary.hits(), "hit"), summary.peers_reached(),
                                     Counted(summary.mesh_size(), "peer"), summary.recall(),
                                     Shortfall(summary), summary.elapsed_ms());
  std::fprintf(stderr, "%s\n", line.c_str());
}

int Search(const Context& context, const Arguments& arguments) {
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  v1::SearchRequest request;
  request.set_query(absl::StrJoin(arguments.words, " "));
  request.set_recall(arguments.recall);
  request.set_limit(arguments.limit);
  request.set_enough(arguments.first);
  request.set_timeout(arguments.timeout);
  std::string next;
  auto summary = (*client)->Search(request, [&](const v1::Hit& hit) {
    if (next.empty()) next = NextCommand(hit.kind(), hit.id());
    PrintHit(context, hit);
    return FinishOutput().ok();
  });
  if (!summary.ok()) return Fail(summary.status());
  if (context.json()) {
    PrintJson(SummaryJson(*summary));
  } else {
    PrintSummary(*summary);
    if (!next.empty()) Hint(Printable(next));
  }
  // Enough is what was asked for.
  const bool enough = summary->cut_short() == "enough";
  if (!summary->complete() && !enough) return kExitIncomplete;
  return summary->hits() > 0 ? kExitOk : kExitNotFound;
}

}  // namespace

void AddSearch(CLI::App& app, Context& context, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("search", "find files, objects and peers in the mesh");
  verb->add_option("QUERY", arguments->words,
                   "words, \"phrases\", prefix*, field:value, size>1M, OR, -not, kind:file")
      ->required();
  verb->add_option("--recall", arguments->recall,
                   "wanted probability that a match is found; 1 asks every peer")
      ->capture_default_str();
  verb->add_option("--limit", arguments->limit, "most hits")->capture_default_str();
  verb->add_option("--first", arguments->first,
                   "hits that are enough: few peers are asked first, and no more than it takes");
  verb->add_option("--timeout", arguments->timeout, "time to spend, e.g. 500ms")
      ->capture_default_str();
  verb->add_flag("--watch", arguments->watch,
                 "print what is published from now on, as it comes; until --timeout, --limit hits "
                 "or Ctrl-C");
  verb->callback([&, arguments, verb] {
    if (!arguments->watch) {
      exit_code = Search(context, *arguments);
      return;
    }
    WatchArguments watch{.query = absl::StrJoin(arguments->words, " "),
                         .recall = arguments->recall};
    if (verb->count("--limit") > 0) watch.limit = arguments->limit;
    if (verb->count("--timeout") > 0) watch.timeout = arguments->timeout;
    exit_code = Watch(context, watch);
  });
}

}  // namespace panal::cli
