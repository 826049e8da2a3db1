#include "tests/integration/mesh_peer.h"

#include <utility>

#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/identity/credential.h"

namespace panal {

MeshPeer::MeshPeer(const Options& options) : MeshPeer(options, Identity::Generate()) {}

MeshPeer::MeshPeer(const Options& options, const Identity& identity)
    : identity_(identity),
      admission_(options.rules.value_or(
          AdmissionRules{.mesh = OpenMeshId(options.mesh),
                         .credential = MakeOpenCredential(identity, OpenMeshId(options.mesh))})),
      dispatcher_(Dispatcher::Create({})) {
  using Kind = LinkEvent::Kind;
  LinkEvents events;
  events.on_up = [this](PeerContact peer, bool outbound, Hello hello) {
    Note({.kind = Kind::kUp, .peer = peer.id, .outbound = outbound, .hello = std::move(hello)});
  };
  events.on_lost = [this](PeerId peer, absl::Status why) {
    Note({.kind = Kind::kLost, .peer = peer, .why = std::move(why)});
  };
  events.on_dial_failed = [this](PeerId peer, absl::Status why) {
    Note({.kind = Kind::kDialFailed, .peer = peer, .why = std::move(why)});
  };
  events.on_frame = [this](PeerId peer, Frame frame) {
    Note({.kind = Kind::kFrame, .peer = peer, .frame = std::move(frame)});
  };
  auto port = MeshPort::Open(
      {.listen = options.listen, .join = options.join, .probes_max = options.probes_max}, identity_,
      admission_, options.hello, std::move(events), options.route, files_, *dispatcher_,
      [this](const PeerId& peer, std::function<void(absl::StatusOr<PeerContact>)> done) {
        absl::StatusOr<PeerContact> found = Error(ErrorReason::kPeerUnknown, "nobody is known");
        {
          MutexLock lock(&mutex_);
          if (const auto it = known_.find(peer); it != known_.end()) found = it->second;
        }
        done(found);
      });
  PANAL_CHECK(port.ok());
  port_ = std::move(*port);
}

MeshPeer::~MeshPeer() {
  Stop();
  dispatcher_->Stop();
}

void MeshPeer::Know(const PeerContact& peer) {
  MutexLock lock(&mutex_);
  known_[peer.id] = peer;
}

void MeshPeer::Stop() { port_->Shutdown(); }

std::vector<LinkEvent> MeshPeer::events() const {
  MutexLock lock(&mutex_);
  return events_;
}

int MeshPeer::CountLocked(LinkEvent::Kind kind, const PeerId& peer) const {
  int count = 0;
  for (const LinkEvent& event : events_) count += event.kind == kind && event.peer == peer ? 1 : 0;
  return count;
}

int MeshPeer::Count(LinkEvent::Kind kind, const PeerId& peer) const {
  MutexLock lock(&mutex_);
  return CountLocked(kind, peer);
}

LinkEvent MeshPeer::Last(LinkEvent::Kind kind, const PeerId& peer) const {
  MutexLock lock(&mutex_);
  for (auto event = events_.rbegin(); event != events_.rend(); ++event) {
    if (event->kind == kind && event->peer == peer) return *event;
  }
  PANAL_CHECK(false);
}

bool MeshPeer::WaitFor(LinkEvent::Kind kind, const PeerId& peer, int count) {
  const absl::Time deadline = absl::Now() + kPatience;
  MutexLock lock(&mutex_);
  while (CountLocked(kind, peer) < count) {
    if (absl::Now() >= deadline) return false;
    changed_.WaitFor(&mutex_, deadline - absl::Now());
  }
  return true;
}

void MeshPeer::Note(LinkEvent event) {
  MutexLock lock(&mutex_);
  events_.push_back(std::move(event));
  changed_.SignalAll();
}

std::pair<Identity, Identity> OrderedIdentities() {
  Identity first = Identity::Generate();
  Identity second = Identity::Generate();
  if (second.peer_id() < first.peer_id()) std::swap(first, second);
  return {first, second};
}

}  // namespace panal
