#include "server/runtime/link_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace panal {
namespace {

absl::Status Superseded(absl::string_view by) {
  return Error(ErrorReason::kCancelled, absl::StrCat("given up in favor of ", by));
}

// Whether another address of the same peer may fare better. A peer that answered and refused will
// refuse under every address.
bool MayRetryElsewhere(const absl::Status& why) {
  switch (ReasonOf(why)) {
    case ErrorReason::kPeerUnreachable:
    case ErrorReason::kPeerIdMismatch:
    case ErrorReason::kConnectionLost:
    case ErrorReason::kUnspecified:
      return true;
    default:
      return false;
  }
}

}  // namespace

void LinkTable::Dial(const PeerContact& peer, LinkActions& actions) {
  if (stopped_) {
    actions.push_back(
        ReportDialFailed{peer.id, Error(ErrorReason::kShuttingDown, "this peer is stopping")});
    return;
  }
  if (peer.id == own_) {
    actions.push_back(ReportDialFailed{
        peer.id, Error(ErrorReason::kArgumentInvalid, "a peer does not dial itself")});
    return;
  }
  Entry& entry = entries_[peer.id];
  if (entry.current != 0 && entry.phase == Phase::kUp) return;
  entry.wanted = true;
  if (entry.current != 0) {
    // Under way: further addresses are further chances. Closing: dialled once the link has ended.
    for (const std::string& address : peer.addresses) {
      const bool known = std::find(entry.addresses.begin(), entry.addresses.end(), address) !=
                         entry.addresses.end();
      if (!known && entry.addresses.size() < kContactAddressesMax) {
        entry.addresses.push_back(address);
      }
    }
    return;
  }
  entry.addresses.assign(peer.addresses.begin(), peer.addresses.end());
  OpenNext(peer.id, entry,
           Error(ErrorReason::kPeerUnreachable,
                 absl::StrCat("no address of peer ", peer.id.ToShortText(), " is known")),
           actions);
}

void LinkTable::OpenNext(const PeerId& peer, Entry& entry, const absl::Status& why,
                         LinkActions& actions) {
  if (entry.addresses.empty()) {
    if (entry.wanted) actions.push_back(ReportDialFailed{peer, why});
    entries_.erase(peer);
    return;
  }
  entry.current = NewStream();
  entry.phase = Phase::kDialling;
  entry.outbound = true;
  actions.push_back(OpenLinkStream{entry.current, peer, entry.addresses.front()});
  entry.addresses.pop_front();
}

absl::Status LinkTable::CheckCaller(const PeerId& peer) const {
  if (stopped_) return Error(ErrorReason::kShuttingDown, "this peer is stopping");
  if (peer == own_) return Error(ErrorReason::kArgumentInvalid, "a peer does not link to itself");
  if (accepted_ >= accepted_max_) {
    return OverloadedError(absl::StrCat("links accepted already: ", accepted_max_),
                           absl::Seconds(10));
  }
  return absl::OkStatus();
}

void LinkTable::HelloCame(LinkStreamId stream, const PeerId& peer, bool outbound, Hello hello,
                          absl::Time now, LinkActions& actions) {
  if (outbound) {
    auto found = entries_.find(peer);
    if (found == entries_.end() || found->second.current != stream) return;  // Given up already.
    Entry& entry = found->second;
    entry.phase = Phase::kUp;
    entry.up_since = now;
    entry.wanted = false;
    entry.addresses.clear();
    actions.push_back(ReportUp{{peer, hello.addresses}, /*outbound=*/true, std::move(hello)});
    actions.push_back(ConfirmAnswer{stream});
    // The peer answered, so it has given up its own dial.
    DropHeld(entry, Superseded("the lower id's dial"), actions);
    return;
  }
  if (absl::Status refused = CheckCaller(peer); !refused.ok()) {
    actions.push_back(EndLinkStream{stream, std::move(refused), /*at_once=*/false});
    return;
  }
  Entry& entry = entries_[peer];
  if (entry.current == 0) {
    Accept(entry, stream, std::move(hello), actions);
  } else if (entry.phase == Phase::kDialling && peer < own_) {
    actions.push_back(EndLinkStream{entry.current, Superseded("the lower id's dial")});
    Accept(entry, stream, std::move(hello), actions);
  } else {
    Contend(entry, stream, peer, std::move(hello), now, actions);
  }
}

void LinkTable::Contend(Entry& entry, LinkStreamId stream, const PeerId& peer, Hello hello,
                        absl::Time now, LinkActions& actions) {
  const bool up = entry.phase == Phase::kUp;
  if (up && entry.outbound && own_ < peer && now - entry.up_since < kCrossingMax) {
    actions.push_back(EndLinkStream{stream, Superseded("the link that is up"), /*at_once=*/false});
    return;
  }
  if (up || entry.phase == Phase::kAnswered) {
    actions.push_back(EndLinkStream{
        entry.current, Error(ErrorReason::kConnectionLost, "the peer opened a new link")});
  }
  Hold(entry, stream, std::move(hello), actions);
}

void LinkTable::Accept(Entry& entry, LinkStreamId stream, Hello hello, LinkActions& actions) {
  entry.current = stream;
  entry.phase = Phase::kAnswered;
  entry.outbound = false;
  entry.hello = std::move(hello);
  ++accepted_;
  actions.push_back(AnswerHello{stream});
}

void LinkTable::Confirmed(LinkStreamId stream, const PeerId& peer, LinkActions& actions) {
  auto found = entries_.find(peer);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  if (entry.current != stream || entry.phase != Phase::kAnswered) return;
  entry.phase = Phase::kUp;
  entry.wanted = false;
  entry.addresses.clear();
  actions.push_back(
      ReportUp{{peer, entry.hello.addresses}, /*outbound=*/false, std::move(entry.hello)});
}

void LinkTable::Hold(Entry& entry, LinkStreamId stream, Hello hello, LinkActions& actions) {
  DropHeld(entry, Superseded("a newer stream"), actions);
  entry.held = stream;
  entry.held_hello = std::move(hello);
  ++accepted_;
  actions.push_back(HoldLinkStream{stream});
}

void LinkTable::DropHeld(Entry& entry, const absl::Status& why, LinkActions& actions) {
  if (entry.held == 0) return;
  actions.push_back(EndLinkStream{entry.held, why, /*at_once=*/false});
  entry.held = 0;
  --accepted_;
}

void LinkTable::HeldTooLong(LinkStreamId stream, const PeerId& peer, LinkActions& actions) {
  auto found = entries_.find(peer);
  if (found == entries_.end() || found->second.held != stream) return;
  Entry& entry = found->second;
  if (entry.phase != Phase::kDialling) return;
  actions.push_back(EndLinkStream{entry.current, Superseded("the caller's dial")});
  --accepted_;
  entry.held = 0;
  Accept(entry, stream, std::move(entry.held_hello), actions);
}

void LinkTable::Ended(LinkStreamId stream, const PeerId& peer, const absl::Status& why,
                      LinkActions& actions) {
  auto found = entries_.find(peer);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  if (entry.held == stream) {
    entry.held = 0;
    --accepted_;
    return;
  }
  if (entry.current != stream) return;
  if (!entry.outbound) --accepted_;
  const bool was_up = entry.phase == Phase::kUp || entry.phase == Phase::kClosing;
  if (was_up) actions.push_back(ReportLost{peer, why});
  if (entry.held != 0 && !stopped_) {
    const LinkStreamId held = std::exchange(entry.held, 0);
    --accepted_;
    Accept(entry, held, std::move(entry.held_hello), actions);
    return;
  }
  DropHeld(entry, CheckCaller(peer), actions);
  if (stopped_ || !(was_up || MayRetryElsewhere(why))) entry.addresses.clear();
  OpenNext(peer, entry, why, actions);
}

void LinkTable::Close(const PeerId& peer, LinkActions& actions) {
  auto found = entries_.find(peer);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.addresses.clear();
  const absl::Status why = Error(ErrorReason::kCancelled, "closed by this peer");
  actions.push_back(EndLinkStream{entry.current, why, entry.phase != Phase::kUp});
  if (entry.phase == Phase::kUp) entry.phase = Phase::kClosing;
}

LinkStreamId LinkTable::LinkTo(const PeerId& peer) const {
  auto found = entries_.find(peer);
  return found != entries_.end() && found->second.phase == Phase::kUp ? found->second.current : 0;
}

bool LinkTable::IsDialling(LinkStreamId stream, const PeerId& peer) const {
  auto found = entries_.find(peer);
  return found != entries_.end() && found->second.current == stream &&
         found->second.phase == Phase::kDialling;
}

bool LinkTable::IsHeld(LinkStreamId stream, const PeerId& peer) const {
  auto found = entries_.find(peer);
  return found != entries_.end() && found->second.held == stream;
}

}  // namespace panal
