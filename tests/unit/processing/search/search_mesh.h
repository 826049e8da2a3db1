// A mesh of SearchCores under virtual time, without membership: the links are given. For the rules
// of bubbles; whole peers are simulated in tests/sim.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "server/processing/core.h"
#include "server/processing/search/search_core.h"

namespace panal {

// Id of peer `index`: well mixed, as real ids are.
PeerId PeerIdOf(uint64_t index);

// A page of `publisher` with one file record for each of `names`.
PagePtr MakePage(const PeerId& publisher, uint32_t number, uint64_t version,
                 const std::vector<std::string>& names);

class SearchMesh {
 public:
  struct Result {
    bool done = false;
    int times_done = 0;
    std::vector<Hit> hits;
    SearchSummary summary;
    absl::Time finished;
  };

  SearchMesh(uint64_t seed, const SearchOptions& options);

  // --- Links
  void AddPeers(int count);
  void Link(int a, int b);
  // Unions of random rings until the degree is `degree`; double links are dropped.
  void LinkRings(int degree);
  // A random tree and `extra` further random links.
  void LinkRandomly(int extra);
  // Tells everybody the links and the true size of the mesh.
  void Start();
  void TellEstimate(const MeshEstimate& estimate);
  // A peer comes and links to `degree` random live ones.
  void Join(int degree);
  MeshEstimate TrueEstimate() const;

  // --- Faults
  // The peer is gone; its neighbors notice after `notice`.
  void Crash(int peer, absl::Duration notice);
  // The link breaks; both ends notice at once.
  void BreakLink(int a, int b);

  // The peer receives and does nothing, its links stay up.
  void Mute(int peer) { peers_[peer].mute = true; }

  // The peer's catalog is full, or cannot answer.
  void SetFull(int peer) { peers_[peer].full = true; }

  void SetFailing(int peer) { peers_[peer].failing = true; }

  // --- Use
  uint64_t Search(int peer, const std::string& query, double recall,
                  absl::Duration timeout = absl::Seconds(10), uint32_t limit = 10'000);
  void Cancel(int peer, uint64_t request);

  const Result& ResultOf(uint64_t request) { return results_[request]; }

  // Signs, keeps and spreads a page.
  void Publish(int peer, const PagePtr& page, bool spread_now = true);
  // Keeps a page at a peer without a word to the mesh.
  void Put(int peer, const PagePtr& page);
  // Hits are names equal to the query; `*` is everything.
  void Run(absl::Duration duration);
  void RunUntilQuiet(absl::Duration limit);

  // --- What happened
  const std::set<int>& Evaluated(const std::string& query) { return evaluated_[query]; }

  // Evaluations of the query, repeated ones too.
  int Evaluations(const std::string& query) { return evaluations_[query]; }

  std::set<int> Holders(const PageKey& key) const;

  const std::vector<PageSpread>& spreads(int peer) const { return peers_[peer].spreads; }

  const std::vector<uint32_t>& refreshes(int peer) const { return peers_[peer].refreshes; }

  uint64_t frames(const std::string& kind) { return frames_[kind]; }

  void ClearFrames() { frames_.clear(); }

  // Everything a peer got, for tests of single rules.
  std::function<void(int from, int to, const Frame& frame)> on_frame;

  int size() const { return static_cast<int>(peers_.size()); }

  bool alive(int peer) const { return peers_[peer].alive; }

  SearchCore& core(int peer) { return *peers_[peer].core; }

  absl::Time now() const { return now_; }

  Random& random() { return random_; }

  void CheckInvariants() const;

 private:
  struct Peer {
    PeerId id;
    std::unique_ptr<Random> random;
    std::unique_ptr<SearchCore> core;
    std::set<int> links;
    std::map<PageKey, PagePtr> catalog;
    bool alive = true;
    bool mute = false;
    bool full = false;
    bool failing = false;
    std::vector<PageSpread> spreads;
    std::vector<uint32_t> refreshes;
  };

  struct Event {
    absl::Time at;
    uint64_t sequence;
    std::function<void()> run;

    bool operator<(const Event& other) const {
      return at != other.at ? at > other.at : sequence > other.sequence;
    }
  };

  void At(absl::Duration delay, std::function<void()> run);
  void TellLinks(int peer);
  void Unlink(int at, int lost);
  // Calls the core of a live peer and performs its outputs.
  void Call(int peer, const std::function<void(SearchCore&, Outputs&)>& call);
  void Perform(int peer, Outputs& outputs);
  void Deliver(int from, int to, const Frame& frame);
  void Evaluate(int peer, const QueryIndex& query);
  PageOutcome Store(int peer, const StorePage& store);
  absl::Duration LatencyOf(int a, int b) const;

  const uint64_t seed_;
  const SearchOptions options_;
  Random random_;
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  uint64_t sequence_ = 0;
  uint64_t next_request_ = 1;
  std::priority_queue<Event> events_;
  std::vector<Peer> peers_;
  std::map<PeerId, int> index_;
  std::map<uint64_t, Result> results_;
  std::map<std::string, std::set<int>> evaluated_;
  std::map<std::string, int> evaluations_;
  std::map<std::string, uint64_t> frames_;
};

}  // namespace panal
