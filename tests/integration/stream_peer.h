// A peer on 127.0.0.1 with Call and Blocks streams only, and what drives calls step by step.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "common/base/sync.h"
#include "common/identity/identity.h"
#include "common/rpc/stream_admission.h"
#include "common/rpc/tls_credentials.h"
#include "server/application/dispatcher.h"
#include "server/runtime/blocks_client.h"
#include "server/runtime/blocks_server.h"
#include "server/runtime/call_streams.h"
#include "server/runtime/listen_address.h"
#include "server/runtime/mesh_service.h"
#include "server/runtime/peer_channels.h"

namespace panal {

class StreamPeer {
 public:
  struct Options {
    std::function<void(CallPtr)> route = [](CallPtr) {};
    CallStreamsOptions calls;
    FileStore* files = nullptr;  // None: Blocks is not served, unless `blocks` is set.
    StreamFactory blocks;        // Instead of BlocksServer. The stream is accepted.
    BlocksServerOptions blocks_server;
    DispatcherOptions dispatcher;
  };

  StreamPeer() : StreamPeer(Options()) {}

  explicit StreamPeer(Options options);
  ~StreamPeer();

  const Identity& identity() const { return identity_; }

  const PeerId& id() const { return identity_.peer_id(); }

  PeerContact contact() const { return {id(), {bound_.address}}; }

  // From now on calls to `peer` find it.
  void Know(const PeerContact& peer);

  CallStreams& calls() { return *calls_; }

  BlocksClient& blocks() { return *blocks_; }

  BlocksServer& blocks_server() { return *served_; }

  // Ends the streams and the server, at once.
  void Stop();

 private:
  const Identity identity_;
  const TlsCredentials tls_;
  const MeshAdmission mesh_;
  const StreamAdmission admission_;
  PeerChannels channels_;
  std::unique_ptr<Dispatcher> dispatcher_;
  Mutex mutex_;
  std::map<PeerId, PeerContact> known_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<CallStreams> calls_;
  std::unique_ptr<BlocksClient> blocks_;
  std::unique_ptr<BlocksServer> served_;
  MeshService service_;
  BoundServer bound_;
  bool stopped_ = false;
};

// A flag that a test waits for.
class Signal {
 public:
  void Set();
  // False: not within 20 s, which a test that passes never waits for.
  bool Wait();
  bool IsSet();

 private:
  Mutex mutex_;
  Condition changed_;
  bool set_ ABSL_GUARDED_BY(mutex_) = false;
};

// An OutgoingCall, blocking. A step that takes longer than 20 s aborts.
class CallDriver {
 public:
  explicit CallDriver(OutgoingCallPtr call);

  // False: the call is over.
  bool Write(std::string message);
  // Begins to write; the signal is set when it is done.
  std::shared_ptr<Signal> StartWrite(std::string message);

  void HalfClose() { call_->HalfClose(); }

  std::optional<std::string> Read();
  // Waits for the result. Reads nothing: where messages wait, read them first.
  CallResult Finish();
  CallMetadata InitialMetadata();

  void Cancel() { call_->Cancel(); }

  // One message there, one back.
  CallResult Unary(std::string message, std::string& answer);

 private:
  struct Outcome {
    Mutex mutex;
    Condition changed;
    std::optional<CallResult> result ABSL_GUARDED_BY(mutex);
    std::optional<CallMetadata> metadata ABSL_GUARDED_BY(mutex);
  };

  const OutgoingCallPtr call_;
  const std::shared_ptr<Outcome> outcome_;  // Shared with the callbacks.
};

}  // namespace panal
