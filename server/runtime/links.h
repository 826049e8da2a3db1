// Links to neighbors: the PeerObject/Link streams, dialled and accepted, as one table by peer id.
//
// The runtime's end of the contract in server/processing/core.h, point 1. Keeps one link a peer (on
// a double dial the connection dialled by the lower id stays), exchanges Hello and credential
// before it reports a link, bounds what may queue on a link (kLinkQueueMax bytes; a neighbor that
// reads slower is dropped), and coalesces nothing: one frame a message.
//
// Thread-safe; no method blocks; events come on gRPC threads and must only post.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/model/frame.h"
#include "common/model/record.h"

namespace panal {

// Bytes that may wait on one link. Guess: 32 of the largest frames.
inline constexpr size_t kLinkQueueMax = 8 * 1024 * 1024;
// Links accepted at once, over all peers. Guess: eight times the largest active view.
inline constexpr int kLinksMax = 1024;
// Addresses being asked for their peer at once (DialAddress). OVERLOADED beyond. Guess.
inline constexpr int kProbesMax = 64;

// What is wrong with a message that is no frame.
enum class FrameFault : uint8_t {
  kUndecodable,  // Out of its ranges, or out of place; the link ends.
  kUnknown,      // Of a kind that a later version may know; ignored.
};

struct LinkEvents {
  std::function<void(PeerContact peer, bool outbound, Hello hello)> on_up;
  std::function<void(PeerId peer, absl::Status why)> on_lost;
  std::function<void(PeerId peer, absl::Status why)> on_dial_failed;
  std::function<void(PeerId peer, Frame frame)> on_frame;
  // Only counted. May be empty.
  std::function<void(PeerId peer, FrameFault fault)> on_fault;
};

class Links {
 public:
  virtual ~Links() = default;

  // Opens a link to a peer whose id is known; tries its addresses in order. Ends in on_up or
  // on_dial_failed. Does nothing when a link is up or being opened.
  virtual void Dial(const PeerContact& peer) = 0;
  // Dials an address whose peer is not known yet (bootstrap): learns the id from TLS and reports it
  // by `done` before on_up. `expected`: refuse any other id. The own id: the address is this
  // peer's; no link follows.
  virtual void DialAddress(absl::string_view address, std::optional<PeerId> expected,
                           std::function<void(absl::StatusOr<PeerId>)> done) = 0;
  // Queues a frame. Dropped when there is no such link.
  virtual void Send(const PeerId& peer, const Frame& frame) = 0;
  // Closes the link once what was queued is written.
  virtual void Close(const PeerId& peer) = 0;
  // What is said in Hello from now on.
  virtual void SetHello(Hello hello) = 0;
  // Closes every link and refuses new ones. Blocks until no event can come any more.
  virtual void Shutdown() = 0;
};

}  // namespace panal
