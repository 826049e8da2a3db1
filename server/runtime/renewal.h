// Sees to it that this peer has a credential of its invite mesh that is valid: asks for a new one in
// time, and again until it has it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/rpc/mesh_admission.h"
#include "server/application/call.h"

namespace panal {

// Wait between two rounds of asking: a tenth of what the credential has left, within these. Guess: some
// thirty rounds before it expires, whatever its lifetime.
inline constexpr absl::Duration kRenewalRetryMin = absl::Seconds(1);
inline constexpr absl::Duration kRenewalRetryMax = absl::Hours(1);
// Time for one peer to answer.
inline constexpr absl::Duration kRenewalTimeout = absl::Seconds(10);

struct RenewalHost {
  PeerId self;
  // Who may be asked beside the issuer: the neighbors, whatever their role.
  std::function<std::vector<PeerId>()> neighbors;
  // A credential that was checked and lasts longer than the one before.
  std::function<void(const std::string& credential)> renewed;
};

// Thread-safe; no method blocks.
class Renewal : public std::enable_shared_from_this<Renewal> {
 public:
  // `admission` and `calls` must outlive Stop.
  static std::shared_ptr<Renewal> Create(RenewalHost host, const MeshAdmission& admission,
                                         PeerCalls& calls);

  // Asks, where it is time. `credential`: the one that this peer has.
  void Tick(const VerifiedCredential& credential, absl::Time now);
  // Nothing is called any more once it returned.
  void Stop();

 private:
  Renewal(RenewalHost host, const MeshAdmission& admission, PeerCalls& calls)
      : host_(std::move(host)), admission_(admission), calls_(calls) {}

  // Asks the last of `peers`, then the others.
  void AskNext(std::vector<PeerId> peers, absl::Time expires);
  void OnAnswer(std::vector<PeerId> rest, absl::Time expires,
                const absl::StatusOr<std::string>& answer);

  const RenewalHost host_;
  const MeshAdmission& admission_;
  PeerCalls& calls_;
  Mutex mutex_;
  bool asking_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time next_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace panal
