// A simulated mesh as the experiments need it: grown, settled, with records published and searched.
#pragma once

#include <cstdint>
#include <map>
#include <string>
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
  double complete = 0;    // Share of searches that say the promise was kept.
  double latency_ms = 0;  // Median until the summary, virtual.
  double size_error = 0;  // Mean of |mesh size said / true - 1|.
};

// A search, and the records it should find.
struct Probe {
  std::string query;
  std::vector<size_t> records;  // In the order they were published.
};

class Mesh {
 public:
  // `catalog_pages_max`, latencies and loss are the simulator's defaults unless set in `options`.
  Mesh(const Parameters& parameters, SimulationOptions options = {});

  // Grows the mesh through random peers, by a tenth a second.
  void Grow();
  // Waits until every peer estimates its size within 5 %. False when that takes longer than
  // `limit`.
  bool Settle(absl::Duration limit = absl::Minutes(10));

  // One record a page at a random live peer each, and waits until all are spread.
  void PublishRecords(int count);
  // Records published from now on, `count` of them, have this word too.
  void AddWord(std::string word, int count);
  // Mean copies and copies wanted of the pages as their publishers count them.
  double CopiesPerPage() const;
  double CopiesWanted() const;

  // `queries` searches for all records that count, which are all that were published unless said
  // otherwise, from peers that are chosen at random, each once while there are enough.
  Searched SearchAll(int queries, double recall);
  // Each of `probes`, which ask for equally many records, from such peers.
  Searched SearchEach(const std::vector<Probe>& probes, double recall);

  // For meshes whose peers come and go: publishes a record of `peer`, without waiting for its
  // spread.
  void PublishOne(PeerIndex peer);
  // A new peer, which joins through a random one and publishes a record.
  PeerIndex AddPublisher();
  // From now on those records count whose publisher has been running for `age`.
  void CountRecordsOfTheLive(absl::Duration age);

  Simulation& sim() { return sim_; }

  const Parameters& parameters() const { return parameters_; }

  const std::vector<double>& capacities() const { return capacities_; }

 private:
  struct Published {
    std::string name;
    PeerIndex publisher;
    uint32_t page;
  };

  double NextCapacity();
  void OnFrame(PeerIndex to, const Frame& frame);
  void Judge(const Probe& probe, const SearchResult& result, int query, Searched& searched) const;

  const Parameters parameters_;
  Simulation sim_;
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

// Records, and queries, of so many pairs.
int SideOf(int trials);
// A random share of the live peers, in random order.
std::vector<PeerIndex> SomeOf(Simulation& sim, double share);

// The first fields of every row: what was run.
Row BeginRow(const Parameters& parameters);
// What the searches brought.
void AddSearched(Row& row, const Searched& searched, Random& random);
// And the last: how much work it was so far, in events and in seconds of the processor.
void EndRow(Row& row, const Simulation& sim);

}  // namespace panal::sim
