#include "server/runtime/peer_channels.h"

#include <grpc/compression.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>

namespace panal {
namespace {

// First and longest pause before a broken channel connects again. Guess.
constexpr int kReconnectMinMs = 200;
constexpr int kReconnectMaxMs = 5'000;

grpc::ChannelArguments ArgumentsFor(ChannelUse use) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(use == ChannelUse::kBulk ? kBulkMessageMax
                                                              : kControlMessageMax);
  arguments.SetMaxSendMessageSize(-1);
  // Without it control and bulk would share one connection, and a new channel would inherit the
  // back-off of an old one.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(kPingInterval)));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(kPingTimeout)));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(kChannelIdleMax)));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMinMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kReconnectMaxMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMaxMs);
  // Peers talk to each other directly, whatever the environment says of HTTP proxies.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Compression is refused in both directions.
  arguments.SetInt(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE);
  return arguments;
}

}  // namespace

std::shared_ptr<grpc::Channel> PeerChannels::Get(const PeerContact& contact, ChannelUse use) {
  const Key key{contact.id, use};
  if (std::shared_ptr<grpc::Channel> open = FindOpen(key, "")) return open;
  if (contact.addresses.empty()) return nullptr;
  return Make(key, contact.addresses.front());
}

std::shared_ptr<grpc::Channel> PeerChannels::GetAt(const PeerId& peer, absl::string_view address,
                                                   ChannelUse use) {
  const Key key{peer, use};
  if (std::shared_ptr<grpc::Channel> open = FindOpen(key, address)) return open;
  return Make(key, address);
}

std::shared_ptr<grpc::Channel> PeerChannels::ToAnyPeer(absl::string_view address) const {
  return grpc::CreateCustomChannel(std::string(address), tls_.ForAnyPeer(),
                                   ArgumentsFor(ChannelUse::kControl));
}

std::shared_ptr<grpc::Channel> PeerChannels::FindOpen(const Key& key,
                                                      absl::string_view address) const {
  MutexLock lock(&mutex_);
  auto found = channels_.find(key);
  if (found == channels_.end()) return nullptr;
  if (!address.empty() && found->second.address != address) return nullptr;
  return found->second.channel.lock();
}

std::shared_ptr<grpc::Channel> PeerChannels::Make(const Key& key, absl::string_view address) {
  grpc::ChannelArguments arguments = ArgumentsFor(key.use);
  TlsCredentials::Expect(key.peer, arguments);
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel(std::string(address), tls_.ForPeers(), arguments);
  MutexLock lock(&mutex_);
  channels_[key] = Entry{std::string(address), channel};
  if (channels_.size() >= sweep_at_) {
    absl::erase_if(channels_, [](const auto& entry) { return entry.second.channel.expired(); });
    sweep_at_ = std::max<size_t>(64, channels_.size() * 2);
  }
  return channel;
}

size_t PeerChannels::open() const {
  MutexLock lock(&mutex_);
  return static_cast<size_t>(
      std::count_if(channels_.begin(), channels_.end(),
                    [](const auto& entry) { return !entry.second.channel.expired(); }));
}

}  // namespace panal
