#include "server/application/subscriptions.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/base32.h"
#include "common/base/status.h"
#include "common/wire/status_codec.h"
#include "server/application/search_hit.h"

namespace panal {
namespace {

// Bytes of a name: as long as an id of the mesh's own subscriptions.
constexpr size_t kNameBytes = 16;
// When this peer has too many subscriptions. Guess: programs come and go within minutes.
constexpr absl::Duration kOverloadRetry = absl::Seconds(10);

absl::Status UnknownError(const std::string& name) {
  return Error(ErrorReason::kSubscriptionUnknown,
               absl::StrCat("no subscription \"", name.substr(0, 2 * kNameBytes),
                            "\" here: it ended, or the peer was restarted"));
}

absl::Status SlowError() {
  return Error(
      ErrorReason::kSubscriberSlow,
      absl::StrCat("the stream was not read while more than ", kSubscriptionHitsMax, " hits, or ",
                   kSubscriptionBytesMax, " bytes of them, came: resume the subscription"),
      {{"limit", absl::StrCat(kSubscriptionHitsMax)}});
}

absl::Status TooManyError() {
  return OverloadedError("this peer has too many subscriptions", kOverloadRetry);
}

// What a stream ends with when its subscription does.
absl::Status StatusOf(SubscriptionEnd why) {
  switch (why) {
    case SubscriptionEnd::kTimeout:
      return absl::OkStatus();
    case SubscriptionEnd::kOverloaded:
      return TooManyError();
    case SubscriptionEnd::kRecordsFull:
      return Error(ErrorReason::kSubscriptionFull,
                   "the subscription remembers as many records as it may: subscribe anew");
  }
  return absl::OkStatus();
}

}  // namespace

struct Subscriptions::Subscription {
  std::string name;
  absl::Time began;
  Mutex mutex;
  uint64_t number ABSL_GUARDED_BY(mutex) = 0;  // The mesh's; 0: not known yet, or dropped.
  bool dropped ABSL_GUARDED_BY(mutex) = false;
  bool begun ABSL_GUARDED_BY(mutex) = false;
  bool known_truncated ABSL_GUARDED_BY(mutex) = false;

  // At hand, the oldest first; consecutive numbers that end with last_sequence.
  std::deque<v1::SubscriptionHit> hits ABSL_GUARDED_BY(mutex);
  size_t hits_bytes ABSL_GUARDED_BY(mutex) = 0;
  uint64_t last_sequence ABSL_GUARDED_BY(mutex) = 0;

  // The stream, and what it is still to get.
  std::optional<Writer> writer ABSL_GUARDED_BY(mutex);
  uint64_t stream ABSL_GUARDED_BY(mutex) = 0;  // Counts the streams.
  absl::Time detached ABSL_GUARDED_BY(mutex);
  bool writing ABSL_GUARDED_BY(mutex) = false;  // A thread is: others leave what is due to it.
  bool start_due ABSL_GUARDED_BY(mutex) = false;
  uint64_t sent ABSL_GUARDED_BY(mutex) = 0;  // The number of the last hit written.
  std::optional<v1::SearchSummary> summary ABSL_GUARDED_BY(mutex);
  std::optional<absl::Status> ended ABSL_GUARDED_BY(mutex);

  uint64_t FirstAtHand() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return last_sequence + 1 - hits.size();
  }

  void Add(const Hit& hit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    v1::SubscriptionHit& added = hits.emplace_back();
    added.set_sequence(++last_sequence);
    FillHit(hit, HitIdOf(hit), added.mutable_hit());
    added.mutable_hit()->set_sources(1);
    hits_bytes += added.ByteSizeLong();
    while (hits.size() > kSubscriptionHitsMax || hits_bytes > kSubscriptionBytesMax) {
      hits_bytes -= hits.front().ByteSizeLong();
      hits.pop_front();
    }
  }

  // The next message that is due, or nothing.
  std::optional<v1::SubscribeResponse> Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    v1::SubscribeResponse response;
    if (!begun) return std::nullopt;
    if (start_due) {
      start_due = false;
      v1::SubscriptionStart* start = response.mutable_start();
      start->set_subscription(name);
      start->set_retention_s(absl::ToInt64Seconds(kSubscriptionRetention));
      start->set_known_truncated(known_truncated);
      start->set_missed(static_cast<int64_t>(std::max(FirstAtHand(), sent + 1) - (sent + 1)));
      sent = std::max(FirstAtHand(), sent + 1) - 1;
      return response;
    }
    if (sent < last_sequence) {
      *response.mutable_hit() = hits[++sent - FirstAtHand()];
      return response;
    }
    if (!summary.has_value()) return std::nullopt;
    *response.mutable_summary() = *std::exchange(summary, std::nullopt);
    return response;
  }

  // Whether hits were dropped that the stream has not got.
  bool Behind() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return !start_due && sent + 1 < FirstAtHand();
  }
};

Subscriptions::Subscriptions(Mesh& mesh, uint64_t seed, std::function<absl::Time()> clock)
    : mesh_(mesh), clock_(std::move(clock)), random_(seed) {}

Subscriptions::~Subscriptions() = default;

void Subscriptions::Begin(const std::string& query, double recall, absl::Duration timeout,
                          const Writer& writer) {
  MakeRoom(/*one_more=*/true);
  auto subscription = std::make_shared<Subscription>();
  subscription->began = clock_();
  {
    MutexLock lock(&mutex_);
    subscription->name = Base32Encode(random_.Bytes(kNameBytes));
  }
  // Before it is in the table: what has no stream there is on its way out.
  Attach(subscription, /*after=*/0, writer);
  {
    MutexLock lock(&mutex_);
    if (all_.size() >= kSubscriptionsMax) return writer.Finish(TooManyError());
    all_[subscription->name] = subscription;
  }
  const uint64_t number = mesh_.StartSubscription(query, recall, timeout, HandlersOf(subscription));
  bool dropped = false;
  {
    MutexLock lock(&subscription->mutex);
    subscription->number = number;
    dropped = subscription->dropped;
  }
  // The stream may have ended it meanwhile.
  if (dropped && number != 0) mesh_.CancelSubscription(number);
  if (number != 0) return;
  Drop(subscription);
  writer.Finish(TooManyError());
}

SubscriptionHandlers Subscriptions::HandlersOf(const SubscriptionPtr& subscription) {
  auto self = shared_from_this();
  SubscriptionHandlers handlers;
  handlers.on_begun = [self, subscription](bool known_truncated) {
    {
      MutexLock lock(&subscription->mutex);
      subscription->begun = true;
      subscription->known_truncated = known_truncated;
    }
    self->Pump(subscription);
  };
  handlers.on_hits = [self, subscription](const std::vector<Hit>& hits) {
    {
      MutexLock lock(&subscription->mutex);
      for (const Hit& hit : hits) subscription->Add(hit);
    }
    self->Pump(subscription);
  };
  handlers.on_round = [self, subscription](const SearchSummary& round) {
    {
      MutexLock lock(&subscription->mutex);
      v1::SearchSummary& summary = subscription->summary.emplace();
      summary.set_peers_reached(static_cast<int64_t>(round.peers_reached));
      summary.set_mesh_size(static_cast<int64_t>(round.mesh_size));
      summary.set_recall(round.recall);
      summary.set_complete(round.complete);
      summary.set_cut_short(std::string(CutShortName(round.cut_short)));
      summary.set_elapsed_ms(absl::ToInt64Milliseconds(self->clock_() - subscription->began));
      summary.set_hits(static_cast<int64_t>(subscription->last_sequence));
    }
    self->Pump(subscription);
    self->MakeRoom(/*one_more=*/false);
  };
  handlers.on_ended = [self, subscription](SubscriptionEnd why) {
    {
      MutexLock lock(&subscription->mutex);
      subscription->number = 0;
      subscription->ended = StatusOf(why);
    }
    self->Pump(subscription);
    self->Drop(subscription);
  };
  return handlers;
}

Subscriptions::SubscriptionPtr Subscriptions::Find(const std::string& name) {
  MutexLock lock(&mutex_);
  auto found = all_.find(name);
  return found == all_.end() ? nullptr : found->second;
}

void Subscriptions::Resume(const std::string& name, uint64_t after, const Writer& writer) {
  MakeRoom(/*one_more=*/false);
  SubscriptionPtr subscription = Find(name);
  if (subscription == nullptr) return writer.Finish(UnknownError(name));
  uint64_t last = 0;
  {
    MutexLock lock(&subscription->mutex);
    last = subscription->last_sequence;
  }
  if (after > last) {
    return writer.Finish(BadRequestError({{"after_sequence", absl::StrCat(after, " is above ", last,
                                                                          ", the last of the "
                                                                          "subscription")}}));
  }
  Attach(subscription, after, writer);
}

void Subscriptions::Attach(const SubscriptionPtr& subscription, uint64_t after,
                           const Writer& writer) {
  std::optional<Writer> replaced;
  uint64_t stream = 0;
  {
    MutexLock lock(&subscription->mutex);
    replaced = std::exchange(subscription->writer, writer);
    stream = ++subscription->stream;
    subscription->start_due = true;
    subscription->sent = after;
  }
  if (replaced.has_value()) {
    replaced->Finish(Error(ErrorReason::kCancelled, "another stream resumed the subscription"));
  }
  // Weak: a subscription that ended need not hear of its stream.
  writer.OnCancel([clock = clock_, weak = std::weak_ptr<Subscription>(subscription), stream] {
    SubscriptionPtr alive = weak.lock();
    if (alive == nullptr) return;
    MutexLock lock(&alive->mutex);
    if (alive->stream != stream) return;
    alive->writer.reset();
    alive->detached = clock();
  });
  Pump(subscription);
}

void Subscriptions::Pump(const SubscriptionPtr& subscription) {
  while (true) {
    std::optional<Writer> writer;
    std::optional<v1::SubscribeResponse> next;
    std::optional<absl::Status> status;
    {
      MutexLock lock(&subscription->mutex);
      writer = subscription->writer;
      if (!writer.has_value() || subscription->writing) return;
      if (writer->over() || subscription->Behind()) {
        status = SlowError();
      } else if (writer->idle()) {
        next = subscription->Next();
        subscription->writing = next.has_value();
        if (!next.has_value()) status = subscription->ended;
        if (!next.has_value() && !status.has_value()) return;
      }
      if (status.has_value()) {
        subscription->writer.reset();
        subscription->detached = clock_();
      }
    }
    if (status.has_value()) return writer->Finish(*status);
    if (!next.has_value()) {
      return writer->WhenIdle(
          [self = shared_from_this(), subscription] { self->Pump(subscription); });
    }
    (void)writer->Write(*next);  // False only when it is over, which the next turn sees.
    MutexLock lock(&subscription->mutex);
    subscription->writing = false;
  }
}

void Subscriptions::Drop(const SubscriptionPtr& subscription) {
  {
    MutexLock lock(&mutex_);
    all_.erase(subscription->name);
  }
  uint64_t number = 0;
  {
    MutexLock lock(&subscription->mutex);
    number = std::exchange(subscription->number, 0);
    subscription->dropped = true;
  }
  if (number != 0) mesh_.CancelSubscription(number);
}

absl::Status Subscriptions::End(const std::string& name) {
  SubscriptionPtr subscription = Find(name);
  if (subscription == nullptr) return UnknownError(name);
  Drop(subscription);
  {
    MutexLock lock(&subscription->mutex);
    subscription->ended = absl::OkStatus();
  }
  Pump(subscription);
  return absl::OkStatus();
}

void Subscriptions::MakeRoom(bool one_more) {
  const absl::Time now = clock_();
  std::vector<SubscriptionPtr> expired;
  {
    MutexLock lock(&mutex_);
    SubscriptionPtr oldest;
    absl::Time oldest_detached = absl::InfiniteFuture();
    for (const auto& [name, subscription] : all_) {
      MutexLock inner(&subscription->mutex);
      if (subscription->writer.has_value() && subscription->writer->over()) {
        subscription->writer.reset();
        subscription->detached = now;
      }
      if (subscription->writer.has_value()) continue;
      const absl::Time detached = subscription->detached;
      if (now - detached >= kSubscriptionRetention) expired.push_back(subscription);
      if (detached >= oldest_detached) continue;
      oldest_detached = detached;
      oldest = subscription;
    }
    const bool full = one_more && all_.size() - expired.size() >= kSubscriptionsMax;
    if (full && oldest != nullptr) expired.push_back(oldest);
  }
  for (const SubscriptionPtr& subscription : expired) Drop(subscription);
}

}  // namespace panal
