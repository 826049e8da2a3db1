#include "server/processing/admission/fact_spreader.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/algorithm/container.h"
#include "common/base/check.h"
#include "common/base/sha256.h"

namespace panal {
namespace {

// Timers of rounds have the round's number, from 1.
constexpr uint64_t kIntervalToken = 0;

}  // namespace

void FactSpreader::OnStart(Outputs& outputs) {
  outputs.push_back(ScheduleTimer{kFactInterval, {TimerKind::kFacts, kIntervalToken}});
}

FactOutcome FactSpreader::Add(const FactPtr& fact, absl::Time now,
                              std::vector<FactPtr>& displaced) {
  FactPtr one;
  const FactOutcome outcome = facts_.Add(fact, now, &one);
  if (one != nullptr) displaced.push_back(std::move(one));
  return outcome;
}

void FactSpreader::OnLoaded(const FactsLoaded& loaded, absl::Time now, Outputs& outputs) {
  std::vector<FactPtr> dropped;
  for (const FactPtr& fact : loaded.facts) {
    const FactOutcome outcome = Add(fact, now, dropped);
    if (outcome == FactOutcome::kExpired || outcome == FactOutcome::kFull) dropped.push_back(fact);
  }
  if (!dropped.empty()) outputs.push_back(ForgetFacts{std::move(dropped)});
  if (facts_.size() > 0) TellChange(outputs);
}

void FactSpreader::OnMade(const FactMade& made, absl::Time now, Outputs& outputs) {
  std::vector<FactPtr> dropped;
  const FactOutcome outcome = Add(made.fact, now, dropped);
  if (outcome == FactOutcome::kAdded) {
    TellChange(outputs);
    SendToAllBut(PeerId(), {made.fact}, outputs);
  } else if (outcome != FactOutcome::kKnown) {
    dropped.push_back(made.fact);
  }
  if (!dropped.empty()) outputs.push_back(ForgetFacts{std::move(dropped)});
  outputs.push_back(FactAnswered{made.token, outcome});
}

void FactSpreader::TellChange(Outputs& outputs) {
  outputs.push_back(FactsChanged{std::make_shared<const Revocations>(facts_.Count())});
}

// --- Links ---------------------------------------------------------------------------------------
void FactSpreader::OnLinkUp(const PeerId& peer, Outputs& outputs) {
  Tell(peer, links_[peer], outputs);
}

void FactSpreader::OnLinkLost(const PeerId& peer, Outputs& outputs) {
  links_.erase(peer);
  std::erase(behind_, peer);
  if (IsAsked(peer)) EndAsking(/*settled=*/false, outputs);
}

void FactSpreader::Tell(const PeerId& peer, Link& link, Outputs& outputs) {
  link.told = facts_.Digest();
  outputs.push_back(SendFrame{peer, *link.told});
}

void FactSpreader::TellAll(Outputs& outputs) {
  for (auto& [peer, link] : links_) {
    if (link.told != facts_.Digest()) Tell(peer, link, outputs);
  }
}

void FactSpreader::SendToAllBut(const PeerId& from, const std::vector<FactPtr>& facts,
                                Outputs& outputs) {
  FactBodies bodies;
  for (const FactPtr& fact : facts) bodies.facts.push_back(fact->bytes);
  for (const auto& [peer, link] : links_) {
    if (peer != from) outputs.push_back(SendFrame{peer, bodies});
  }
}

// --- What others know ----------------------------------------------------------------------------
void FactSpreader::OnFrame(const PeerId& from, const FactDigest& digest, absl::Time,
                           Outputs& outputs) {
  const auto it = links_.find(from);
  if (it == links_.end()) return;
  it->second.theirs = digest;
  if (!IsBehind(it->second) || IsAsked(from) || absl::c_linear_search(behind_, from)) return;
  behind_.push_back(from);
  AskWhoeverIsNext(outputs);
}

bool FactSpreader::IsBehind(const Link& link) const {
  return link.theirs.has_value() && link.theirs != facts_.Digest() && link.theirs != link.settled;
}

void FactSpreader::AskWhoeverIsNext(Outputs& outputs) {
  while (!asking_.has_value() && !behind_.empty()) {
    const PeerId peer = behind_.front();
    behind_.pop_front();
    const Link& link = links_.at(peer);
    if (!IsBehind(link)) continue;
    asking_ = Asking{.peer = peer, .number = ++rounds_, .theirs = *link.theirs};
    outputs.push_back(SendFrame{peer, FactWant{}});
    outputs.push_back(ScheduleTimer{kFactAskingMax, {TimerKind::kFacts, asking_->number}});
  }
}

void FactSpreader::OnFrame(const PeerId& from, const FactNames& names, absl::Time,
                           Outputs& outputs) {
  if (!IsAsked(from) || asking_->listed) return;
  asking_->listed = true;
  for (auto name = names.names.rbegin(); name != names.names.rend(); ++name) {
    if (!facts_.Has(*name)) asking_->missing.push_back(*name);
  }
  AskForMore(outputs);
}

void FactSpreader::AskForMore(Outputs& outputs) {
  asking_->awaits_bodies = false;
  FactWant want;
  std::vector<FactName>& missing = asking_->missing;
  while (!missing.empty() && want.names.size() < kFactsPerFrameMax) {
    if (!facts_.Has(missing.back())) want.names.push_back(missing.back());
    missing.pop_back();
  }
  if (want.names.empty()) return EndAsking(/*settled=*/true, outputs);
  asking_->awaits_bodies = true;
  outputs.push_back(SendFrame{asking_->peer, std::move(want)});
}

void FactSpreader::EndAsking(bool settled, Outputs& outputs) {
  const auto link = links_.find(asking_->peer);
  if (settled && link != links_.end()) link->second.settled = asking_->theirs;
  const bool learned = asking_->learned;
  asking_.reset();
  if (learned) TellAll(outputs);
  AskWhoeverIsNext(outputs);
}

void FactSpreader::OnFrame(const PeerId& from, const FactWant& want, absl::Time now,
                           Outputs& outputs) {
  const auto it = links_.find(from);
  if (it == links_.end()) return;
  const bool all = want.names.empty();
  if (!(all ? it->second.names : it->second.wants).Take(now)) {
    outputs.push_back(FrameRefused{from, "it asks for facts more often than it may"});
    return;
  }
  if (all) {
    outputs.push_back(SendFrame{from, FactNames{facts_.Names()}});
    return;
  }
  FactBodies bodies{.asked = true};
  for (const FactName& name : want.names) {
    if (const FactPtr fact = facts_.Find(name)) bodies.facts.push_back(fact->bytes);
  }
  outputs.push_back(SendFrame{from, std::move(bodies)});
}

// --- Facts that come -----------------------------------------------------------------------------
void FactSpreader::OnFrame(const PeerId& from, const FactBodies& bodies, absl::Time now,
                           Outputs& outputs) {
  const auto link = links_.find(from);
  if (link == links_.end()) return;
  const bool asked = bodies.asked && IsAsked(from) && asking_->awaits_bodies;
  if (bodies.asked && !asked) return;  // The round is over.
  Batch batch{.from = from};
  if (asked) {
    batch.asking = asking_->number;
    asking_->awaits_bodies = false;
  }
  std::vector<std::string> fresh = TakeFresh(bodies, asked ? nullptr : &link->second, batch, now);
  if (!fresh.empty()) {
    outputs.push_back(VerifyFacts{next_batch_, from, std::move(fresh)});
    batches_[next_batch_++] = std::move(batch);
  } else if (asked) {
    AskForMore(outputs);
  }
}

std::vector<std::string> FactSpreader::TakeFresh(const FactBodies& bodies, Link* link, Batch& batch,
                                                 absl::Time now) {
  std::vector<std::string> fresh;
  for (const std::string& bytes : bodies.facts) {
    const Sha256Digest id = Sha256(bytes);
    if (facts_.Has(NameOf(id)) || verifying_.contains(id)) continue;
    if (link != nullptr) {
      if (link->verifying >= kFactsVerifyingMax || !link->facts.Take(now)) break;
      ++link->verifying;
    }
    verifying_.insert(id);
    batch.ids.push_back(id);
    fresh.push_back(bytes);
  }
  return fresh;
}

bool FactSpreader::Keep(const FactsVerified& verified, Batch& batch, absl::Time now,
                        Outputs& outputs) {
  bool valid = true;
  std::vector<FactPtr> displaced;
  for (const FactPtr& fact : verified.facts) {
    if (fact == nullptr) {
      valid = false;
    } else if (Add(fact, now, displaced) == FactOutcome::kAdded) {
      batch.facts.push_back(fact);
    }
  }
  // One of the batch may have had to make room for another of it.
  std::erase_if(batch.facts, [&](const FactPtr& fact) { return !facts_.Has(NameOf(fact->id)); });
  if (!displaced.empty()) outputs.push_back(ForgetFacts{std::move(displaced)});
  return valid;
}

void FactSpreader::OnVerified(const FactsVerified& verified, absl::Time now, Outputs& outputs) {
  const auto it = batches_.find(verified.token);
  if (it == batches_.end()) return;
  Batch& batch = it->second;
  for (const Sha256Digest& id : batch.ids) verifying_.erase(id);
  const auto link = links_.find(batch.from);
  // A link that came anew counts from nothing.
  if (batch.asking == 0 && link != links_.end()) {
    link->second.verifying -= std::min(link->second.verifying, batch.ids.size());
  }
  const bool valid = Keep(verified, batch, now, outputs);
  if (!valid) outputs.push_back(FrameRefused{batch.from, "a fact of it is not valid"});
  const bool whole = valid && !verified.failed;
  if (asking_.has_value() && batch.asking == asking_->number) {
    asking_->learned = asking_->learned || !batch.facts.empty();
    // What the answer holds stays; nothing more is asked for.
    if (!whole) EndAsking(/*settled=*/false, outputs);
  }
  if (batch.facts.empty()) {
    const uint64_t asking = batch.asking;
    batches_.erase(it);
    if (asking_.has_value() && asking == asking_->number) AskForMore(outputs);
    return;
  }
  TellChange(outputs);
  outputs.push_back(StoreFacts{verified.token, batch.facts});
}

void FactSpreader::OnStored(const FactsStored& stored, Outputs& outputs) {
  const auto it = batches_.find(stored.token);
  if (it == batches_.end()) return;
  const Batch batch = std::move(it->second);
  batches_.erase(it);
  if (batch.asking == 0) return SendToAllBut(batch.from, batch.facts, outputs);
  if (asking_.has_value() && batch.asking == asking_->number) AskForMore(outputs);
}

void FactSpreader::OnTimer(uint64_t token, absl::Time now, Outputs& outputs) {
  if (token != kIntervalToken) {
    if (asking_.has_value() && asking_->number == token) EndAsking(/*settled=*/false, outputs);
    return;
  }
  OnStart(outputs);
  std::vector<FactPtr> expired = facts_.Expire(now);
  if (!expired.empty()) {
    outputs.push_back(ForgetFacts{std::move(expired)});
    TellChange(outputs);
    for (auto& [peer, link] : links_) link.settled.reset();
  }
  TellAll(outputs);
  for (const auto& [peer, link] : links_) {
    const bool waits = IsAsked(peer) || absl::c_linear_search(behind_, peer);
    if (IsBehind(link) && !waits) behind_.push_back(peer);
  }
  AskWhoeverIsNext(outputs);
}

void FactSpreader::CheckInvariants() const {
  facts_.CheckInvariants();
  PANAL_CHECK(!asking_.has_value() || links_.contains(asking_->peer));
  PANAL_CHECK(!asking_.has_value() || asking_->missing.size() <= kFactsMax);
  PANAL_CHECK(asking_.has_value() || behind_.empty());
  for (const PeerId& peer : behind_) PANAL_CHECK(links_.contains(peer));
  PANAL_CHECK(behind_.size() <= links_.size());
  for (const auto& [peer, link] : links_) PANAL_CHECK(link.verifying <= kFactsVerifyingMax);
}

}  // namespace panal
