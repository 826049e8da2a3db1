// A simulated mesh as the experiments need it: grown, settled, with records published and searched.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "tests/sim/program/parameters.h"
#include "tests/sim/program/statistics.h"
#include "tests/sim/simulator.h"

namespace panal::sim {

// What many searches for all records brought.
struct Searched {
  Misses misses;
  double promised_miss = 0;             // Mean of 1 - recall over the summaries.
  double peers_reached = 0;             // Mean of the summaries.
  double casts_per_query = 0;           // Frames that carry a query by positions, over links.
  double answers_per_query = 0;         // Frames that carry answers, contacts' too.
  double contacts_per_query = 0;        // Frames that carry a query because of a digest.
  double false_contacts_per_query = 0;  // Of those, to peers that keep nothing that matches.
  double digests_consulted = 0;         // Mean of the summaries.
  double bytes_per_query = 0;           // Of all three kinds of frames.
  double depth_mean = 0;                // Links from the origin to the farthest peer asked.
  int depth_max = 0;
  double stale = 0;       // Share of the pairs of which an older version was found only.
  double complete = 0;    // Share of searches that say the promise was kept.
  double latency_ms = 0;  // Median until the summary, virtual.
  double size_error = 0;  // Mean of |mesh size said / true - 1|.
};

// A search, and the records it should find.
struct Probe {
  std::string query;
  std::vector<size_t> records;  // In the order they were published.
};

// Between two searches of one peer in a mesh in use (BubbleStorm's load).
inline constexpr absl::Duration kSearchInterval = absl::Minutes(5);

class Mesh {
 public:
  // `catalog_pages_max`, latencies and loss are the simulator's defaults unless set in `options`.
  Mesh(const Parameters& parameters, SimulationOptions options = {});

  // A peer that is added from now on claims so many times its capacity.
  void set_capacity_factor(std::function<double(PeerIndex)> factor) {
    capacity_factor_ = std::move(factor);
  }

  // Only peers of which this is true search.
  void set_may_search(std::function<bool(PeerIndex)> may) { may_search_ = std::move(may); }

  // Grows the mesh through random peers, by a tenth a second.
  void Grow();
  // Waits until every peer estimates its size within 5 %. False when that takes longer than
  // `limit`.
  bool Settle(absl::Duration limit = absl::Minutes(10));

  // One record a page at a random peer of half of the live ones each, and waits until all are spread, at most two
  // minutes: those of hostile peers may never be. With --zipf some of them are the same record.
  void PublishRecords(int count);
  // Records published from now on, `count` of them, have this word too.
  void AddWord(std::string word, int count);
  // Publishes the counted records once more, in a later version each, and waits as before. From now
  // on only that version is the record.
  void RepublishRecords();
  // Mean copies and copies wanted of the pages that count, as their publishers count them.
  double CopiesPerPage() const;
  double CopiesWanted() const;

  // `queries` searches for all records that count, which are all that were published unless said
  // otherwise, from peers that are chosen at random, each once while there are enough.
  Searched SearchAll(int queries, double recall);
  // Each search for one record, drawn at random among those that count.
  Searched SearchOne(int queries, double recall);
  // Each search for one record, by the popularity that --zipf gives them.
  Searched SearchByRank(int queries, double recall);
  // Each of `probes`, which ask for equally many records, from such peers.
  Searched SearchEach(const std::vector<Probe>& probes, double recall);

  // Lets the mesh be used: every peer searches once in kSearchInterval, for one record or for all.
  void Use(absl::Duration duration, double recall);

  // For meshes whose peers come and go: publishes a record of `peer`, without waiting for its
  // spread.
  void PublishOne(PeerIndex peer);
  // A new peer, which joins through a random one and publishes a record.
  PeerIndex AddPublisher();
  // From now on those records count whose publisher has been running for `age`. Returns how many.
  size_t CountRecordsOfTheLive(absl::Duration age);

  Simulation& sim() { return sim_; }

  const Parameters& parameters() const { return parameters_; }

  const std::vector<double>& capacities() const { return capacities_; }

 private:
  struct Published {
    std::string name;
    size_t rank;
    PeerIndex publisher;
    uint32_t page;
    uint64_t version;
  };

  // A search under way.
  struct Asked {
    uint64_t request;
    PeerIndex origin;
    absl::Time at;
    const Probe* probe;
  };

  double NextCapacity();
  void PublishAs(PeerIndex peer, size_t rank);
  void AwaitSpread();
  double MeanOfSpreads(uint32_t PageSpread::*number) const;
  void OnFrame(PeerIndex to, const Frame& frame);
  // Live peers to search from, in random order.
  std::vector<PeerIndex> Origins();
  Asked Ask(PeerIndex origin, const Probe& probe, double recall);
  // Whether it is done, or its origin gone.
  bool IsOver(const Asked& asked) const;
  void Judge(const Probe& probe, const SearchResult& result, Searched& searched) const;

  const Parameters parameters_;
  Simulation sim_;
  std::function<double(PeerIndex)> capacity_factor_;
  std::function<bool(PeerIndex)> may_search_;
  std::vector<double> capacities_;  // By peer.
  std::vector<Published> published_;
  std::vector<size_t> counted_;  // In `published_`.
  std::string word_;
  int word_left_ = 0;
  // Of the searches under way.
  int hops_max_ = 0;
  std::map<std::string, Query> queries_;  // Of contacts.
  uint64_t false_contacts_ = 0;
};

const char* NameOf(Mix mix);
// Records, and queries, of so many pairs.
int SideOf(int trials);
// Links only, nothing is measured; with HyParView's parameters (section 5.1) or Panal's.
SimulationOptions LinksOnly(bool hyparview);
// Membership cycles before a graph is used: as HyParView section 5.
inline constexpr int kCyclesBefore = 50;
// A random share of the live peers, in random order. One is always left out unless `share` is 1.
std::vector<PeerIndex> SomeOf(Simulation& sim, double share);

// The first fields of every row: what was run.
Row BeginRow(const Parameters& parameters);
// What the searches brought.
void AddSearched(Row& row, const Searched& searched, Random& random);
// And the last: how much work it was so far, in events and in seconds of the processor.
void EndRow(Row& row, const Simulation& sim);
void EndRow(Row& row, uint64_t events, uint64_t trace_hash);

}  // namespace panal::sim
