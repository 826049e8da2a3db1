// Verifies the facts of an invite mesh and keeps them on disk, so that what was revoked stays so
// across restarts (docs/protocol/admission.md, "Facts").
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/model/fact.h"
#include "server/data/catalog/catalog.h"

namespace panal {

// Thread-safe. Blocking (disk, signatures): called from workers only.
class FactKeeper {
 public:
  // `catalog` must outlive this object.
  FactKeeper(const MeshId& mesh, Catalog& catalog);

  // What the disk remembers. Facts of another mesh, and what does not decode, are left out and
  // forgotten.
  absl::StatusOr<std::vector<FactPtr>> Load();
  // In their order, null where one is invalid. About 160 microseconds a signature.
  std::vector<FactPtr> Verify(const std::vector<std::string>& facts, absl::Time now) const;
  // Durable once it returned.
  absl::Status Keep(const std::vector<FactPtr>& facts);
  absl::Status Forget(const std::vector<FactPtr>& facts);

 private:
  const MeshId mesh_;
  Catalog& catalog_;
};

}  // namespace panal
