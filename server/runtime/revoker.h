// Throws peers out of an invite mesh: makes revocations, or takes those that the root signed, and says
// that this peer has moved; keeps that, and tells the mesh. docs/protocol/admission.md has the rules.
#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/identity/identity.h"
#include "common/rpc/mesh_admission.h"
#include "server/application/admission.h"
#include "server/runtime/fact_keeper.h"

namespace panal {

// Thread-safe.
class Revoker {
 public:
  // CoreDriver::TellFact.
  using Tell = std::function<void(FactPtr, std::function<void(FactOutcome)>)>;
  using Done = std::function<void(absl::StatusOr<RevocationResult>)>;

  // `admission`: of an invite mesh. It and `keeper` must outlive this object.
  Revoker(const Identity& identity, const MeshAdmission& admission, FactKeeper& keeper, Tell tell,
          std::function<absl::Time()> now = absl::Now);

  // As Admission::Revoke. Refused with ARGUMENT_INVALID: what would throw this peer out itself; the
  // root may.
  void Revoke(const RevocationOrder& order, const Done& done);
  // As Admission::MoveTo.
  void MoveTo(absl::string_view public_key, const Done& done);
  // Keeps a fact that this peer made, and tells the mesh. Blocks (disk). `done`: as Revoke's; what
  // fails is logged where there is none.
  void Say(const FactPtr& fact, const Done& done = LogFailure);

 private:
  // The revocation that is asked for, signed and checked.
  absl::StatusOr<FactPtr> Make(const RevocationOrder& order) const;
  // What this peer says, signed and checked.
  absl::StatusOr<FactPtr> Sign(FactBody body) const;
  absl::Status CheckSparesOneself(const FactPtr& fact) const;
  // What is in effect already and says as much, or null.
  FactPtr FindEqual(const FactBody& body) const;
  static void LogFailure(const absl::StatusOr<RevocationResult>& result);

  const Identity identity_;
  const MeshAdmission& admission_;
  FactKeeper& keeper_;
  const Tell tell_;
  const std::function<absl::Time()> now_;
};

}  // namespace panal
