// Search and publishing of one peer: bubbles in, bubbles out. Rules: docs/protocol/bubbles.md.
//
// One engine (bubble.h) carries query bubbles and page bubbles; the searcher and the page spreader
// start them. Everything is driven by the calls below; nothing here has a clock, a thread or a
// socket.
//
// Differences from BubbleStorm (sections 1.3, 1.4 of its description): parts are split over four
// neighbors instead of two, a parent answers for a range until it is *answered* and sends it
// elsewhere when it is not, answers travel back along the tree, and small meshes are asked whole.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/model/frame.h"
#include "server/processing/core.h"

namespace panal {

class SearchCore {
 public:
  virtual ~SearchCore() = default;

  // `random` must outlive the core. REQUIRES: options.Validate().ok().
  static std::unique_ptr<SearchCore> Create(PeerId self, const SearchOptions& options,
                                            Random& random);

  // `neighbors`: the links that are up now (the active view), ascending. Called before every other
  // call when it changed.
  virtual void SetNeighbors(const std::vector<PeerId>& neighbors) = 0;
  virtual void SetEstimate(const MeshEstimate& estimate) = 0;
  // Bubbles are so much larger than the estimate says (sizes.h, SetScale).
  virtual void SetScale(double scale) = 0;
  // Whether everything goes to everyone.
  virtual bool Saturated() const = 0;
  virtual void SetSelf(const PeerContact& self) = 0;

  virtual void OnStart(absl::Time now, Outputs& outputs) = 0;
  // `takes_digests`: it has the feature.
  virtual void OnNeighborUp(const PeerId& peer, bool takes_digests, absl::Time now,
                            Outputs& outputs) = 0;
  // `peer` is no longer among the neighbors: SetNeighbors came before. `departed`: for all that is
  // known it is no longer in the mesh, either.
  virtual void OnNeighborDown(const PeerId& peer, bool departed, absl::Time now,
                              Outputs& outputs) = 0;

  virtual void OnCast(const PeerId& from, const Cast& cast, absl::Time now, Outputs& outputs) = 0;
  virtual void OnAnswer(const PeerId& from, const Answer& answer, absl::Time now,
                        Outputs& outputs) = 0;
  virtual void OnPageWant(const PeerId& from, const PageWant& want, absl::Time now,
                          Outputs& outputs) = 0;
  virtual void OnPageBody(const PeerId& from, const PageBodyFrame& body, absl::Time now,
                          Outputs& outputs) = 0;

  virtual void OnDigest(const PeerId& from, const DigestFrame& digest, absl::Time now,
                        Outputs& outputs) = 0;
  virtual void OnDigestDelta(const PeerId& from, const DigestDelta& delta, absl::Time now,
                             Outputs& outputs) = 0;

  // Timers of kind kBubble, kSearch, kRefresh, kStanding and kDigest. One whose token is not known
  // is ignored.
  virtual void OnTimer(const Timer& timer, absl::Time now, Outputs& outputs) = 0;

  virtual void OnSearchRequested(const SearchRequested& request, absl::Time now,
                                 Outputs& outputs) = 0;
  virtual void OnSearchCancelled(const SearchCancelled& cancel, absl::Time now,
                                 Outputs& outputs) = 0;
  virtual void OnSubscribeRequested(const SubscribeRequested& request, absl::Time now,
                                    Outputs& outputs) = 0;
  virtual void OnSubscribeCancelled(const SubscribeCancelled& cancel, absl::Time now,
                                    Outputs& outputs) = 0;
  virtual void OnStandingHits(const PeerId& from, const StandingHits& hits, absl::Time now,
                              Outputs& outputs) = 0;
  virtual void OnStandingMatched(const StandingMatched& matched, absl::Time now,
                                 Outputs& outputs) = 0;
  virtual void OnIndexAnswered(const IndexAnswered& answer, absl::Time now, Outputs& outputs) = 0;
  virtual void OnPageStored(const PageStored& stored, absl::Time now, Outputs& outputs) = 0;
  virtual void OnPageLoaded(const PageLoaded& loaded, absl::Time now, Outputs& outputs) = 0;
  virtual void OnDigestBuilt(const DigestBuilt& built, absl::Time now, Outputs& outputs) = 0;
  virtual void OnOwnPagesSigned(const OwnPagesSigned& signed_pages, absl::Time now,
                                Outputs& outputs) = 0;

  // Positions of a page bubble and of a query bubble for `recall`, by the estimate now.
  virtual uint32_t PageBubbleSize() const = 0;
  virtual uint32_t QueryBubbleSize(double recall) const = 0;

  // Aborts when a limit or an invariant does not hold. For tests and the simulator.
  virtual void CheckInvariants() const = 0;
};

}  // namespace panal
