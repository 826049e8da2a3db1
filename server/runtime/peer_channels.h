// Channels to other peers' mesh ports: how to get one.
//
//   std::shared_ptr<grpc::Channel> channel = channels.Get(contact, ChannelUse::kControl);
//   admission.Attach(context);   // Every stream: panal-mesh and panal-credential-bin.
//   grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(channel);
//   stub.PrepareBidiStreamingCall(&context, kCallMethod, {}, &reactor);
//
// Two connections a pair at most: control (Link, Call) and bulk (Blocks), which share nothing, so
// that a full bulk connection never delays a frame. A channel refuses every peer but the one it is
// for, and lives as long as somebody holds it: keep the pointer while a stream is open, and drop it
// after. The pool itself keeps none alive.
#pragma once

#include <grpcpp/channel.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/model/record.h"
#include "common/rpc/tls_credentials.h"

namespace panal {

// Largest message gRPC takes on a control connection or the mesh port, in bytes. Twice the largest
// frame, so that a frame above its own limit is still refused with a reason.
inline constexpr int kControlMessageMax = 512 * 1024;
// Largest message on a bulk connection: a manifest of 3 MiB or a chunk of 1 MiB, and what wraps it.
inline constexpr int kBulkMessageMax = 4 * 1024 * 1024;
// A peer that answers no ping is gone: noticed within interval and timeout together, 15 seconds.
inline constexpr absl::Duration kPingInterval = absl::Seconds(10);
inline constexpr absl::Duration kPingTimeout = absl::Seconds(5);
// A connection without streams is closed after this long. Guess.
inline constexpr absl::Duration kChannelIdleMax = absl::Seconds(30);

enum class ChannelUse : uint8_t { kControl, kBulk };

// Thread-safe; no method blocks: connections are made when a stream is opened.
class PeerChannels {
 public:
  // `tls` must outlive this object.
  explicit PeerChannels(const TlsCredentials& tls) : tls_(tls) {}

  // The open channel to the peer, whatever its address; otherwise a new one to its first address.
  // Null: the contact has no address.
  std::shared_ptr<grpc::Channel> Get(const PeerContact& contact, ChannelUse use);

  // A channel to the peer at this very address: the open one when it is there, otherwise a new one.
  std::shared_ptr<grpc::Channel> GetAt(const PeerId& peer, absl::string_view address,
                                       ChannelUse use);

  // A control channel to a peer whose id is not known, not shared. Any id is taken.
  std::shared_ptr<grpc::Channel> ToAnyPeer(absl::string_view address) const;

  // Channels that somebody holds.
  size_t open() const;

 private:
  struct Key {
    PeerId peer;
    ChannelUse use = ChannelUse::kControl;
    bool operator==(const Key&) const = default;

    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.peer, key.use);
    }
  };

  struct Entry {
    std::string address;
    std::weak_ptr<grpc::Channel> channel;
  };

  std::shared_ptr<grpc::Channel> FindOpen(const Key& key, absl::string_view address) const;
  std::shared_ptr<grpc::Channel> Make(const Key& key, absl::string_view address);

  const TlsCredentials& tls_;
  mutable Mutex mutex_;
  // The newest channel of each key. Bounded by what is open: entries of channels that are gone are
  // dropped whenever the map has doubled.
  absl::flat_hash_map<Key, Entry> channels_ ABSL_GUARDED_BY(mutex_);
  size_t sweep_at_ ABSL_GUARDED_BY(mutex_) = 64;
};

}  // namespace panal
