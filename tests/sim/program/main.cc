// panal-sim: experiments on the mesh logic that ships, with thousands of simulated peers, from one
// seed.

#include <cstdio>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/sim/program/experiments.h"
#include "tests/sim/program/report.h"

namespace panal::sim {
namespace {

using Run = std::function<absl::StatusOr<std::vector<Row>>(const Parameters&)>;

struct Experiment {
  const char* help;
  Run run;
};

const std::map<std::string, Experiment>& Experiments() {
  static const auto* const experiments = new std::map<std::string, Experiment>{
      {"recall", {"misses against the promise, and what a search costs", RunRecall}},
      {"crash", {"the same right after --fail of the peers crashed, and once mended", RunCrash}},
      {"leave", {"the same after --fail of the peers left", RunLeave}},
      {"broadcast",
       {"reach of broadcasts right after --fail of the peers crashed, and healing", RunBroadcast}},
      {"partition",
       {"how fast a mesh is one again after --fail of the peers were cut off", RunPartition}},
      {"canary",
       {"what canaries notice, and cost, while --fail of the peers keep no pages", RunCanary}},
      {"hostile", {"recall while --fail of the peers misbehave as --variant says", RunHostile}},
      {"churn",
       {"recall of what live peers publish while sessions begin and end for --hours", RunChurn}},
      {"baseline",
       {"what flooding, expanding rings and random walks cost; for comparison only", RunBaseline}},
      {"classes", {"misses and costs by class of query: what digests bring each", RunClasses}},
      {"load", {"how evenly queries fall on peers by their capacity", RunLoad}},
      {"standing",
       {"what is told of records published later, and what a subscription costs", RunStanding}},
  };
  return *experiments;
}

// Whether several recalls are measured on one mesh.
bool TakesRecalls(const std::string& experiment) {
  static const auto* const several =
      new std::set<std::string>{"recall", "crash", "leave", "classes", "standing"};
  return several->contains(experiment);
}

// What was typed, but for the form of the results.
std::string CommandOf(int argc, char** argv) {
  std::string command = "panal-sim";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "-o" || argument == "--output") {
      ++i;
    } else if (!absl::StartsWith(argument, "--output=")) {
      absl::StrAppend(&command, " ", argument);
    }
  }
  return command;
}

void AddCommonOptions(CLI::App* sub, Parameters& parameters) {
  static const std::map<std::string, Mix> mixes = {
      {"homogeneous", Mix::kHomogeneous}, {"bubblestorm", Mix::kBubbleStorm}, {"gia", Mix::kGia}};
  sub->add_option("--peers", parameters.peers, "Peers of the mesh")
      ->check(CLI::Range(1, 1'000'000));
  sub->add_option("--seed", parameters.seed, "What everything random follows from");
  sub->add_option("--recall", parameters.recalls, "Asked for; several are measured on one mesh")
      ->check(CLI::Range(1e-9, 1.0))
      ->delimiter(',');
  sub->add_option("--trials", parameters.trials, "Pairs of a record and a query")
      ->check(CLI::Range(1, 100'000'000));
  sub->add_option("--mix", parameters.mix, "Capacities of the peers")
      ->transform(CLI::CheckedTransformer(mixes));
  sub->add_option("--fail", parameters.fail, "Share of the peers that fail")
      ->check(CLI::Range(0.0, 0.99));
  sub->add_option("--variant", parameters.variant,
                  "broadcast: panal or hyparview; hostile: what hostile peers do")
      ->check(CLI::IsMember({"panal", "hyparview", "drop", "late", "counts", "size", "amplify",
                             "stale", "replay", "capacity", "flood", "joins", "shuffles"}));
}

void AddFaults(CLI::App* sub, Parameters& parameters) {
  sub->add_option("--loss", parameters.loss, "Share of the frames that links lose")
      ->check(CLI::Range(0.0, 0.9));
  sub->add_option("--duplicate", parameters.duplication, "Share of the frames that come twice")
      ->check(CLI::Range(0.0, 1.0));
  sub->add_option("--reorder", parameters.reorder_ms,
                  "Milliseconds by up to which a frame comes after its turn")
      ->check(CLI::Range(0.0, 10'000.0));
}

void AddSpecialOptions(CLI::App* sub, Parameters& parameters) {
  static const std::map<std::string, bool> switches = {{"on", true}, {"off", false}};
  sub->add_option("--zipf", parameters.zipf,
                  "recall, baseline: exponent of the popularity of records, and of queries")
      ->check(CLI::Range(0.0, 5.0));
  sub->add_option("--sessions", parameters.sessions, "churn: weibull or exponential")
      ->check(CLI::IsMember({"weibull", "exponential"}));
  sub->add_option("--enough", parameters.enough,
                  "Hits after which a search ends; its misses say nothing then")
      ->check(CLI::Range(0, 10'000));
  sub->add_option("--digests", parameters.digests, "Whether peers exchange digests")
      ->transform(CLI::CheckedTransformer(switches))
      ->default_str(parameters.digests ? "on" : "off");
  sub->add_option("--use", parameters.use_minutes,
                  "hostile: minutes in which every peer searches now and then, before it counts")
      ->check(CLI::Range(0.0, 10'000.0));
  sub->add_option("--hours", parameters.hours, "Virtual hours of churn")
      ->check(CLI::Range(0.1, 1000.0));
  sub->add_option("--canary", parameters.canary_minutes,
                  "Minutes between two canaries of a peer; 0: none")
      ->check(CLI::Range(0.0, 1000.0));
  sub->add_option("--graph", parameters.graph,
                  "baseline: an edge list instead of Panal's own links")
      ->check(CLI::ExistingFile);
}

int Perform(const Parameters& parameters, Format format) {
  if (parameters.recalls.size() > 1 && !TakesRecalls(parameters.experiment)) {
    std::fprintf(stderr, "panal-sim: %s takes one --recall, not %zu\n",
                 parameters.experiment.c_str(), parameters.recalls.size());
    return 2;
  }
  const auto rows = Experiments().at(parameters.experiment).run(parameters);
  if (!rows.ok()) {
    std::fprintf(stderr, "panal-sim: %s\n", std::string(rows.status().message()).c_str());
    return 1;
  }
  std::fputs(Print(*rows, format).c_str(), stdout);
  return 0;
}

int Main(int argc, char** argv) {
  Parameters parameters;
  Format format = Format::kTable;
  CLI::App app(
      "Experiments on Panal's mesh logic with simulated peers. The same seed gives the same run.",
      "panal-sim");
  app.require_subcommand(1);
  static const std::map<std::string, Format> formats = {
      {"table", Format::kTable}, {"csv", Format::kCsv}, {"json", Format::kJson}};
  for (const auto& [name, experiment] : Experiments()) {
    CLI::App* sub = app.add_subcommand(name, experiment.help);
    AddCommonOptions(sub, parameters);
    AddFaults(sub, parameters);
    AddSpecialOptions(sub, parameters);
    sub->add_option("-o,--output", format, "Form of the results")
        ->transform(CLI::CheckedTransformer(formats));
  }
  CLI11_PARSE(app, argc, argv);
  parameters.experiment = app.get_subcommands().front()->get_name();
  parameters.command = CommandOf(argc, argv);
  return Perform(parameters, format);
}

}  // namespace
}  // namespace panal::sim

int main(int argc, char** argv) { return panal::sim::Main(argc, argv); }
