// What panal-sim prints: the names of the fields are a contract (docs/simulator.md), and every
// experiment runs with the smallest meshes.

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "tests/sim/program/experiments.h"

namespace panal::sim {
namespace {

constexpr char kSearched[] =
    "pairs promised_miss measured_miss measured_miss_high complete peers_reached "
    "messages_per_query answers_per_query contacts_per_query false_contacts_per_query "
    "digests_consulted bytes_per_query depth depth_mean latency_ms size_error";
constexpr char kBegin[] = "experiment peers seed mix command";
constexpr char kEnd[] = "events seconds events_per_second peak_mib trace_hash";

std::string Names(const Row& row) {
  return absl::StrJoin(row.values(), " ", [](std::string* out, const auto& value) {
    absl::StrAppend(out, value.first);
  });
}

std::vector<Row> RowsOf(const Parameters& parameters) {
  const std::string& name = parameters.experiment;
  if (name == "recall") return RunRecall(parameters);
  if (name == "crash") return RunCrash(parameters);
  if (name == "leave") return RunLeave(parameters);
  if (name == "broadcast") return RunBroadcast(parameters);
  if (name == "partition") return RunPartition(parameters);
  if (name == "canary") return RunCanary(parameters);
  if (name == "hostile") return RunHostile(parameters);
  if (name == "churn") return RunChurn(parameters);
  if (name == "classes") return RunClasses(parameters);
  if (name == "load") return RunLoad(parameters);
  if (name == "standing") return RunStanding(parameters);
  return *RunBaseline(parameters);
}

// The fields of each experiment between those that all begin and end with.
std::map<std::string, std::string> GoldenFields() {
  const std::string searched = kSearched;
  const std::string lost =
      absl::StrCat("trials fail when live recall ", searched, " copies_per_page copies_wanted");
  return {
      {"recall",
       absl::StrCat("trials zipf when live recall ", searched, " copies_per_page copies_wanted")},
      {"crash", lost},
      {"leave", lost},
      {"broadcast",
       "variant fail degree clustering path_mean path_max flood_messages flood_hops "
       "bubble_reached bubble_payload bubble_control bubble_redundancy bubble_ms "
       "reliability_before reliability_first reliability reliability_healed healing_s "
       "healing_cycles"},
      {"partition",
       "fail cut_off cut_minutes connected_s measured_s across_measured across_expected "
       "half_mixed_s frames_per_peer_second events_since"},
      {"canary", absl::StrCat("trials fail minutes recall factor factor_max "
                              "canary_frames_per_peer_minute ",
                              searched, " copies_per_page")},
      {"hostile", absl::StrCat("trials fail variant hostile use_minutes recall ", searched,
                               " stale copies_per_page hostile_links hostile_queries")},
      {"churn", absl::StrCat("sessions hours minutes live recall ", searched, " copies_per_page")},
      {"classes", absl::StrCat("trials when digests class recall ", searched,
                               " copies_per_page digest_bytes_per_peer_minute")},
      {"load", absl::StrCat("digests recall records queries ", searched,
                            " jain p99_of_fair_share max_of_fair_share pages pages_jain "
                            "pages_p99_of_fair_share pages_max_of_fair_share")},
      {"standing",
       "trials recall pairs promised_miss missed_at_once missed_at_last told_twice latency_ms "
       "latency_p99_ms casts_per_peer_minute answers_per_peer_minute bytes_per_peer_minute"},
      {"baseline",
       "trials zipf graph variant recall copies_per_page ttl_or_steps promised_miss measured_miss "
       "measured_miss_high messages_per_query depth depth_mean"},
  };
}

class Fields : public testing::TestWithParam<std::string> {};

TEST_P(Fields, AreThoseOfTheContract) {
  const std::string between = GoldenFields().at(GetParam());
  const Parameters parameters{
      .experiment = GetParam(), .peers = 20, .trials = 4, .fail = 0.1, .hours = 0.2};

  const std::vector<Row> rows = RowsOf(parameters);

  ASSERT_FALSE(rows.empty());
  const bool mends = GetParam() == "crash" || GetParam() == "leave";
  for (const Row& row : rows) {
    EXPECT_EQ(Names(row),
              absl::StrCat(kBegin, " ", between, " ", kEnd, mends ? " mended_after_s" : ""));
  }
}

TEST_P(Fields, AreThereForOneTwoAndThreePeers) {
  for (int peers : {1, 2, 3}) {
    // Of so few all would fail: one is left.
    const Parameters parameters{
        .experiment = GetParam(), .peers = peers, .trials = 4, .fail = 0.9, .hours = 0.2};

    EXPECT_FALSE(RowsOf(parameters).empty()) << peers;
  }
}

std::vector<std::string> Experiments() {
  std::vector<std::string> names;
  for (const auto& [name, fields] : GoldenFields()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Fields, testing::ValuesIn(Experiments()),
                         [](const auto& info) { return info.param; });

// Sessions as long as BubbleStorm's: there are nineteen offline for each online, who come in turn.
TEST(RunChurn, KeepsItsSizeWithExponentialSessions) {
  const Parameters parameters{
      .experiment = "churn", .peers = 60, .recalls = {0.98}, .hours = 2, .sessions = "exponential"};

  const std::vector<Row> rows = RunChurn(parameters);
  double measured = 0;
  for (const Row& row : rows) {
    for (const auto& [name, value] : row.values()) {
      if (name == "live") EXPECT_NEAR(std::get<int64_t>(value), 60, 30);
      if (name == "measured_miss") measured += std::get<double>(value);
    }
  }
  EXPECT_LE(measured / static_cast<double>(rows.size()), 0.04);  // Twice the promise: few pairs.
}

}  // namespace
}  // namespace panal::sim
