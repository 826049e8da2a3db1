// Subscriptions of programs, beyond their streams: the newest hits stay at hand, so that who lost
// its stream resumes the subscription with nothing twice and, up to a limit, nothing lost.
//
// Specification:
// - R1. Hits are numbered from 1. A stream gets each once, in order.
// - R2. A subscription without a stream goes on for kSubscriptionRetention, then ends. That is
//   looked at whenever a round is over or somebody subscribes.
// - R3. The newest kSubscriptionHitsMax hits, of at most kSubscriptionBytesMax, are at hand, sent
//   or not. Who resumes is told how many are not.
// - R4. A stream that is behind by more than that ends with SUBSCRIBER_SLOW; the subscription goes
//   on without it. Rationale: nothing is written before the reader took what was written, so this
//   is all that waits.
// - R5. At most kSubscriptionsMax. A new one ends the one that is without a stream longest, and is
//   refused where all have one.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/random.h"
#include "common/base/sync.h"
#include "panal/v1/search_object.pb.h"
#include "server/application/mesh.h"
#include "server/application/servant.h"

namespace panal {

// How long a subscription outlives its stream. Guess: a program that restarts, a network that was
// lost.
inline constexpr absl::Duration kSubscriptionRetention = absl::Minutes(10);
// Hits at hand of one subscription. Guess: what a busy mesh brings within the retention.
inline constexpr size_t kSubscriptionHitsMax = 4096;
// Bytes of them. Guess: half of what may wait for any other stream (kSendQueueMax).
inline constexpr size_t kSubscriptionBytesMax = 2 * 1024 * 1024;
// Subscriptions of all programs: the core's limit (SearchOptions::subscriptions_max).
inline constexpr size_t kSubscriptionsMax = 64;

class Subscriptions : public std::enable_shared_from_this<Subscriptions> {
 public:
  using Writer = StreamWriter<v1::SubscribeResponse>;

  // `mesh` must outlive the calls. `seed`: of the names.
  Subscriptions(Mesh& mesh, uint64_t seed, std::function<absl::Time()> clock);
  ~Subscriptions();

  // Begins one for `writer`; the arguments are valid. Error, to the writer: OVERLOADED.
  void Begin(const std::string& query, double recall, absl::Duration timeout, const Writer& writer);
  // Goes on with `name` after hit `after`; the stream it had ends. Errors, to the writer:
  // SUBSCRIPTION_UNKNOWN, ARGUMENT_INVALID.
  void Resume(const std::string& name, uint64_t after, const Writer& writer);
  // Ends one, and its stream with OK. Error: SUBSCRIPTION_UNKNOWN.
  absl::Status End(const std::string& name);

 private:
  struct Subscription;
  using SubscriptionPtr = std::shared_ptr<Subscription>;

  SubscriptionHandlers HandlersOf(const SubscriptionPtr& subscription);
  SubscriptionPtr Find(const std::string& name);
  // Drops it from the table and from the mesh, without a word to its stream.
  void Drop(const SubscriptionPtr& subscription);
  // Ends those that are without a stream for too long, and one more where there is no room.
  void MakeRoom(bool one_more);
  void Attach(const SubscriptionPtr& subscription, uint64_t after, const Writer& writer);
  // Writes what is due, as far as the reader takes it.
  void Pump(const SubscriptionPtr& subscription);

  Mesh& mesh_;
  const std::function<absl::Time()> clock_;
  Mutex mutex_;
  Random random_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, SubscriptionPtr> all_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
