// Drives processing::Core: the runtime's side of the contract in server/processing/core.h. Feeds it
// inputs on the node loop and performs every output: frames to Links, index and page work to
// workers, timers to the loop. Verifies the signature of every page in a frame before the frame
// enters.
//
// Thread-safe; no method blocks unless it says so.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/random.h"
#include "common/base/sync.h"
#include "server/application/dispatcher.h"
#include "server/application/mesh.h"
#include "server/data/catalog/catalog.h"
#include "server/processing/core.h"
#include "server/runtime/fact_keeper.h"
#include "server/runtime/frame_order.h"
#include "server/runtime/links.h"
#include "server/runtime/metrics.h"
#include "server/runtime/node_loop.h"
#include "server/runtime/page_signer.h"

namespace panal {

class CoreDriver {
 public:
  // Everything passed must outlive the driver; SetLinks must be called before Start.
  CoreDriver(const PeerId& self, const CoreOptions& options, uint64_t seed, NodeLoop& loop,
             Dispatcher& dispatcher, Catalog& catalog, PageSigner& signer, Metrics& metrics);
  ~CoreDriver();

  // Events to give to the links.
  LinkEvents MakeLinkEvents();

  void SetLinks(Links* links) { links_ = links; }

  // Of an invite mesh: what keeps its facts, and what is called on the node loop with what they say
  // together, whenever that changes. REQUIRES: AdmissionOptions::facts. Before Start.
  void SetFacts(FactKeeper* keeper,
                std::function<void(std::shared_ptr<const Revocations>)> changed) {
    facts_ = keeper;
    on_facts_changed_ = std::move(changed);
  }

  // Feeds one input.
  void Post(Input input);

  // See Mesh::StartSearch.
  uint64_t StartSearch(absl::string_view query, double recall, uint32_t limit, uint32_t enough,
                       absl::Duration timeout, SearchHandlers handlers);
  void CancelSearch(uint64_t search);
  // See Mesh::StartSubscription.
  uint64_t StartSubscription(absl::string_view query, double recall, absl::Duration timeout,
                             SubscriptionHandlers handlers);
  void CancelSubscription(uint64_t subscription);

  // Signs what is dirty and spreads it, soon. Calls that come while it works are served by one more
  // run.
  void SignAndSpread();
  // The same before it returns: what was dirty is signed, indexed and on its way. Where signing
  // fails it is tried again later. Blocking (disk): call from a worker.
  void SignAndSpreadNow();

  // Tells the mesh a fact that this peer made and keeps. `done` comes on the node loop: kAdded says
  // that it is in effect here and on its way; of kFull and kExpired nothing is kept.
  void TellFact(FactPtr fact, std::function<void(FactOutcome)> done);

  // Calls `left` on the node loop once every neighbor has closed its link, or had its time to.
  void LeaveMesh(std::function<void()> left);

  // Ascending ids.
  std::vector<NeighborInfo> Neighbors() const;
  MeshEstimate Estimate() const;

  // Called on the node loop with every contact that hits and links bring. `version`: of the peer
  // record that says so; 0: the peer itself said so, over a link.
  void SetContactSink(std::function<void(const PeerContact&, uint64_t version)> sink) {
    sink_ = std::move(sink);
  }

 private:
  struct Neighbor {
    PeerContact contact;
    bool outbound = false;
    absl::Time since;
    std::string version;
  };

  struct Search {
    SearchHandlers handlers;
    absl::Time begun;
  };

  void OnFrame(const PeerId& from, Frame frame);
  // Posts what came from outside, where the mailbox has room.
  void TryPost(FrameReceived input);
  // Who work is done for, to the dispatcher.
  std::string CallerName(const PeerId& from) const;
  // Whether the signatures of all pages that `from` sent are their publishers'.
  bool VerifyAll(const PeerId& from, const std::vector<PagePtr>& pages);
  void VerifyThenPost(const PeerId& from, Frame frame, std::vector<PagePtr> pages);
  void Handle(const Input& input);
  bool IsNeighbor(const PeerId& peer) const;
  void RunSigning();
  // False: it failed, and another run is due.
  bool SignAllNow();

  void Perform(Dial& output);
  void Perform(CloseLink& output);
  void Perform(SendFrame& output);
  void Perform(ScheduleTimer& output);
  void Perform(QueryIndex& output);
  void Perform(StorePage& output);
  void Perform(LoadPage& output);
  void Perform(RefreshOwnPages& output);
  void Perform(NeighborUp& output);
  void Perform(NeighborDown& output);
  void Perform(RememberPeers& output);
  void Perform(SearchHits& output);
  void Perform(SearchDone& output);
  void Perform(PageSpread& output);
  void Perform(Left& output);
  void Perform(FrameRefused& output);
  void Perform(MatchStanding& output);
  void Perform(SubscriptionBegun& output);
  void Perform(SubscriptionHits& output);
  void Perform(SubscriptionRound& output);
  void Perform(SubscriptionEnded& output);
  // Tells contacts that hits bring to the sink.
  void LearnContacts(const std::vector<Hit>& hits);
  void Perform(BuildDigest& output);

  void Perform(VerifyFacts& output);
  void Perform(StoreFacts& output);
  void Perform(ForgetFacts& output);
  void Perform(FactsChanged& output);
  void Perform(FactAnswered& output);
  void KeepThenPost(StoreFacts store);

  const PeerId self_;
  NodeLoop& loop_;
  Dispatcher& dispatcher_;
  Catalog& catalog_;
  PageSigner& signer_;
  Metrics& metrics_;
  Links* links_ = nullptr;
  std::function<void(const PeerContact&, uint64_t)> sink_;
  FactKeeper* facts_ = nullptr;
  std::function<void(std::shared_ptr<const Revocations>)> on_facts_changed_;
  FrameOrder order_;

  // Owned by the node loop.
  Random random_;
  const std::unique_ptr<Core> core_;
  std::map<uint64_t, Search> searches_;
  std::map<uint64_t, SubscriptionHandlers> subscriptions_;
  std::map<uint64_t, std::function<void(FactOutcome)>> telling_;  // Facts, by token.
  uint64_t next_fact_ = 1;
  std::function<void()> on_left_;

  std::atomic<uint64_t> next_search_{1};
  std::atomic<int> signing_{0};  // Runs of SignAndSpread asked for and not finished.

  mutable Mutex mutex_;
  std::map<PeerId, Neighbor> neighbors_ ABSL_GUARDED_BY(mutex_);
  std::map<PeerId, std::string> versions_ ABSL_GUARDED_BY(mutex_);  // Of linked peers, from Hello.
  MeshEstimate estimate_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
