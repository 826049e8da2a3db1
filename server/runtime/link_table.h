// Which stream is the link to a peer: dialling, double dials, replacement. Decisions only, no IO.
//
// Specification:
// - L1. The dialler says Hello, the acceptor answers with its own, the dialler confirms by its next
//   frame (an empty one, at once). The link is up at the dialler when the answer comes, at the
//   acceptor when the confirmation comes. Rationale: a Hello may be of a dial that was given up
//   since; nobody confirms the answer to it, so it never shows.
// - L2. While a peer dials the caller itself, the connection dialled by the lower id stays: the
//   lower one holds the caller's Hello back, unanswered; the higher one gives up its own dial and
//   answers. Rationale: only one side ever answers, so both agree without a further message.
// - L3. A held stream takes over when the own dial fails, or after kHoldMax.
// - L4. A Hello from a peer whose link is up is one of two things. At the lower id, when its own
//   dial came up less than kCrossingMax ago: a dial that crossed, which the peer has given up; it
//   is refused. Otherwise the peer has lost that link: it is ended, and the new stream takes over
//   then: Lost, Up. Rationale: a dial lasts less than kCrossingMax, so a later Hello cannot have
//   crossed.
// - L5. Every Up is followed by exactly one Lost; every Dial by exactly one Up or DialFailed unless
//   the link was up.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/model/frame.h"
#include "common/model/record.h"

namespace panal {

// Numbers a stream. 0: none.
using LinkStreamId = uint64_t;

// How long a caller is held back in favor of an own dial. Guess: a handshake over a slow path; well
// below the time that the caller gives its dial.
inline constexpr absl::Duration kHoldMax = absl::Seconds(1);

// Longest time by which a Hello may come after the dial that it crossed was answered: a dial's own
// limit, doubled for good measure.
inline constexpr absl::Duration kCrossingMax = absl::Seconds(10);

// --- What the table wants done, in order ---------------------------------------------------------
// Open a stream to `peer` at `address`.
struct OpenLinkStream {
  LinkStreamId stream = 0;
  PeerId peer;
  std::string address;
};

// Answer the caller's Hello.
struct AnswerHello {
  LinkStreamId stream = 0;
};

// Confirm the acceptor's answer.
struct ConfirmAnswer {
  LinkStreamId stream = 0;
};

// Call HeldTooLong after kHoldMax.
struct HoldLinkStream {
  LinkStreamId stream = 0;
};

// End a stream: at once, or after what is queued was written.
struct EndLinkStream {
  LinkStreamId stream = 0;
  absl::Status why;
  bool at_once = true;
};

struct ReportUp {
  PeerContact peer;
  bool outbound = false;
  Hello hello;
};

struct ReportLost {
  PeerId peer;
  absl::Status why;
};

struct ReportDialFailed {
  PeerId peer;
  absl::Status why;
};

using LinkAction = std::variant<OpenLinkStream, AnswerHello, ConfirmAnswer, HoldLinkStream,
                                EndLinkStream, ReportUp, ReportLost, ReportDialFailed>;
using LinkActions = std::vector<LinkAction>;

// Not thread-safe. Every method appends to `actions`.
class LinkTable {
 public:
  // `accepted_max`: links and held streams of other diallers at once.
  LinkTable(const PeerId& own, size_t accepted_max) : own_(own), accepted_max_(accepted_max) {}

  // A number for a stream that another peer opened.
  LinkStreamId NewStream() { return next_stream_++; }

  void Dial(const PeerContact& peer, LinkActions& actions);
  // The first frame of a stream that was opened (`outbound`) or accepted.
  void HelloCame(LinkStreamId stream, const PeerId& peer, bool outbound, Hello hello,
                 absl::Time now, LinkActions& actions);
  // A message after the Hello on a stream that was accepted.
  void Confirmed(LinkStreamId stream, const PeerId& peer, LinkActions& actions);
  void HeldTooLong(LinkStreamId stream, const PeerId& peer, LinkActions& actions);
  void Ended(LinkStreamId stream, const PeerId& peer, const absl::Status& why,
             LinkActions& actions);
  void Close(const PeerId& peer, LinkActions& actions);

  // From now on nothing is dialled or accepted.
  void Stop() { stopped_ = true; }

  // The stream that is the link to `peer`, up; 0 when there is none.
  LinkStreamId LinkTo(const PeerId& peer) const;
  bool IsDialling(LinkStreamId stream, const PeerId& peer) const;
  bool IsHeld(LinkStreamId stream, const PeerId& peer) const;

 private:
  enum class Phase : uint8_t { kDialling, kAnswered, kUp, kClosing };

  // Exists while there is a stream.
  struct Entry {
    LinkStreamId current = 0;
    Phase phase = Phase::kDialling;
    bool outbound = true;
    bool wanted = false;                         // A Dial waits for its outcome.
    Hello hello;                                 // kAnswered: what the caller said.
    absl::Time up_since = absl::InfinitePast();  // Own dials only.
    std::deque<std::string> addresses;           // Still to be dialled.
    LinkStreamId held = 0;
    Hello held_hello;
  };

  void OpenNext(const PeerId& peer, Entry& entry, const absl::Status& why, LinkActions& actions);
  void Accept(Entry& entry, LinkStreamId stream, Hello hello, LinkActions& actions);
  // The caller of a peer whose link is up or being dialled, and who does not win at once.
  void Contend(Entry& entry, LinkStreamId stream, const PeerId& peer, Hello hello, absl::Time now,
               LinkActions& actions);
  void DropHeld(Entry& entry, const absl::Status& why, LinkActions& actions);
  void Hold(Entry& entry, LinkStreamId stream, Hello hello, LinkActions& actions);
  absl::Status CheckCaller(const PeerId& peer) const;

  const PeerId own_;
  const size_t accepted_max_;
  bool stopped_ = false;
  LinkStreamId next_stream_ = 1;
  std::map<PeerId, Entry> entries_;
  size_t accepted_ = 0;  // Links that other peers dialled, and held streams.
};

}  // namespace panal
