// A mesh port on 127.0.0.1 that writes down what its links report.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/sync.h"
#include "common/identity/identity.h"
#include "server/runtime/mesh_port.h"
#include "tests/integration/no_files.h"

namespace panal {

// Long enough for a loaded machine; a test that passes never waits for it.
inline constexpr absl::Duration kPatience = absl::Seconds(20);

struct LinkEvent {
  enum class Kind { kUp, kLost, kDialFailed, kFrame };
  Kind kind = Kind::kUp;
  PeerId peer;
  bool outbound = false;
  absl::Status why;
  Hello hello;
  std::optional<Frame> frame;
};

class MeshPeer {
 public:
  struct Options {
    std::string mesh = "test";            // An open one.
    std::optional<AdmissionRules> rules;  // Instead.
    JoinHandler join;
    std::string listen = "127.0.0.1:0";
    Hello hello;
    int probes_max = kProbesMax;
    std::function<void(CallPtr)> route = [](CallPtr) {};
  };

  MeshPeer() : MeshPeer(Options()) {}

  explicit MeshPeer(const Options& options);
  MeshPeer(const Options& options, const Identity& identity);
  ~MeshPeer();

  const Identity& identity() const { return identity_; }

  const PeerId& id() const { return identity_.peer_id(); }

  std::string address() const { return port_->address(); }

  PeerContact contact() const { return {id(), {address()}}; }

  Links& links() { return port_->links(); }

  MeshPort& port() { return *port_; }

  MeshAdmission& admission() { return admission_; }

  // From now on calls to `peer` find it.
  void Know(const PeerContact& peer);

  // Shuts the port down.
  void Stop();

  std::vector<LinkEvent> events() const;
  // Events of one kind about one peer.
  int Count(LinkEvent::Kind kind, const PeerId& peer) const;
  // The newest event of a kind about a peer. REQUIRES: there is one.
  LinkEvent Last(LinkEvent::Kind kind, const PeerId& peer) const;
  // Waits until there are `count` such events. False: not within kPatience.
  bool WaitFor(LinkEvent::Kind kind, const PeerId& peer, int count);

 private:
  void Note(LinkEvent event);
  int CountLocked(LinkEvent::Kind kind, const PeerId& peer) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Identity identity_;
  MeshAdmission admission_;
  NoFiles files_;
  std::unique_ptr<Dispatcher> dispatcher_;
  mutable Mutex mutex_;
  Condition changed_;
  std::vector<LinkEvent> events_ ABSL_GUARDED_BY(mutex_);
  std::map<PeerId, PeerContact> known_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<MeshPort> port_;
};

// Two identities, the lower id first.
std::pair<Identity, Identity> OrderedIdentities();

}  // namespace panal
