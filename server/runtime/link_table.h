// Which stream is the link to a peer: dialling, double dials, replacement. Decisions only, no IO.
//
// Specification:
// - L1. A link is up at the acceptor when it answers the dialler's Hello with its own, and at the
//   dialler when that answer comes. So the acceptor decides.
// - L2. While a peer dials the caller itself, the connection dialled by the lower id stays: the
// lower
//   one holds the caller's Hello back, unanswered; the higher one gives up its own dial and
//   answers. Rationale: only one side ever answers, so both agree without a further message.
// - L3. A held stream takes over when the own dial fails, or after kHoldMax.
// - L4. A Hello from a peer whose link is up means that the peer has lost that link, or (at the
// lower id,
//   own dial) that its dial crossed ours and is about to be given up. It is held; in the first case
//   the old link is ended. When the old link has ended the held stream takes over: Lost, then Up.
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

// --- What the table wants done, in order
// ------------------------------------------------------------ Open a stream to `peer` at
// `address`.
struct OpenLinkStream {
  LinkStreamId stream = 0;
  PeerId peer;
  std::string address;
};

// Answer the caller's Hello.
struct AnswerHello {
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

using LinkAction = std::variant<OpenLinkStream, AnswerHello, HoldLinkStream, EndLinkStream,
                                ReportUp, ReportLost, ReportDialFailed>;
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
                 LinkActions& actions);
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
  enum class Phase : uint8_t { kDialling, kUp, kClosing };

  // Exists while there is a stream.
  struct Entry {
    LinkStreamId current = 0;
    Phase phase = Phase::kDialling;
    bool outbound = true;
    std::deque<std::string> addresses;  // Still to be dialled.
    LinkStreamId held = 0;
    Hello held_hello;
  };

  void OpenNext(const PeerId& peer, Entry& entry, const absl::Status& why, LinkActions& actions);
  void Accept(const PeerId& peer, Entry& entry, LinkStreamId stream, Hello hello,
              LinkActions& actions);
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
