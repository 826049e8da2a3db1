// LAYER 1: one call, wherever it came from. The API port, a peer's Call stream and the same process
// all become a Call and go through one router (server/application/router.h).
//
// Threads: the methods may be called from any thread and never block; callbacks come on any thread,
// must not block, and may call methods of the same call. One read and one write may be outstanding.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/ids.h"

namespace panal {

// Metadata keys are lower case; values of keys that end in `-bin` are raw bytes.
using CallMetadata = std::multimap<std::string, std::string>;

// Where a call entered this peer.
enum class CallOrigin : uint8_t {
  kApi,        // A program on the API port.
  kMesh,       // Another peer, identified by TLS.
  kInProcess,  // This process.
};

struct CallHead {
  std::string method;     // `/package.Service/Method`.
  CallMetadata metadata;  // What the caller sent; for kMesh without `panal-` keys.
  absl::Time deadline = absl::InfiniteFuture();
  CallOrigin origin = CallOrigin::kApi;
  PeerId peer;            // kMesh: the caller, proven. Zeros otherwise.
  std::string reference;  // kMesh: the object reference that was called. Empty otherwise.
  std::string caller;     // For fairness between callers: address host or peer id.
};

// How a call ended. `details` is a serialized google.rpc.Status (the `grpc-status-details-bin`).
struct CallResult {
  int code = 0;  // gRPC status code.
  std::string message;
  std::string details;
  CallMetadata trailing_metadata;
};

// The servant's side of a call. Shared by the transport and the servant; freed when both let go.
class Call {
 public:
  virtual ~Call() = default;

  virtual const CallHead& head() const = 0;

  // Next message of the caller; nothing when the caller is done sending or gone.
  virtual void Read(std::function<void(std::optional<std::string>)> done) = 0;
  // Before the first Write. Optional.
  virtual void SendInitialMetadata(CallMetadata metadata) = 0;
  // `done(false)`: the caller is gone. The next Write waits for `done`: that is the flow control.
  virtual void Write(std::string message, std::function<void(bool ok)> done) = 0;
  // Exactly once, after the last Write is done. A Read under way ends with nothing, and the callback
  // of OnCancel is let go of: what serves a call and the call own each other no longer.
  virtual void Finish(CallResult result) = 0;

  // Called once when the caller cancels, its deadline passes or its connection breaks; at once when
  // that has happened already. Not called after Finish. One callback: the last one set counts.
  virtual void OnCancel(std::function<void()> callback) = 0;
  virtual bool cancelled() const = 0;
};

using CallPtr = std::shared_ptr<Call>;

// The caller's side of a call to another peer: what a router splices a Call onto.
class OutgoingCall {
 public:
  virtual ~OutgoingCall() = default;
  virtual void Write(std::string message, std::function<void(bool ok)> done) = 0;
  virtual void HalfClose() = 0;
  // Nothing when the answer is over: then Finished follows.
  virtual void Read(std::function<void(std::optional<std::string>)> done) = 0;
  // Initial metadata of the answer, once, before the first message or the result.
  virtual void OnInitialMetadata(std::function<void(CallMetadata)> callback) = 0;
  // The result, once, after the last message was read.
  virtual void OnFinished(std::function<void(CallResult)> callback) = 0;
  // Drops what was not read; Finished follows with CANCELLED, unless it was called. No callback is
  // kept beyond that.
  virtual void Cancel() = 0;
};

using OutgoingCallPtr = std::shared_ptr<OutgoingCall>;

// Opens calls to objects of other peers over their Call streams. Implemented by the runtime.
class PeerCalls {
 public:
  virtual ~PeerCalls() = default;
  // Never fails at once: a peer that cannot be reached yields a call that finishes with UNAVAILABLE
  // (PEER_UNREACHABLE), one that is not known NOT_FOUND (PEER_UNKNOWN).
  virtual OutgoingCallPtr Open(const PeerId& peer, const std::string& reference,
                               const CallHead& head) = 0;
};

// Result of a failed call: code, message, and details with exactly one ErrorInfo.
CallResult ResultOf(const absl::Status& status);

}  // namespace panal
