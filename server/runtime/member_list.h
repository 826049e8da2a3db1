// Who is in the mesh and who is out, as far as this peer knows.
#pragma once

#include <vector>

#include "common/rpc/mesh_admission.h"
#include "server/application/admission.h"

namespace panal {

// As Admission::Members. `own`: this peer's credential, not null.
std::vector<KnownMember> ListKnownMembers(const MeshAdmission& admission, const CredentialPtr& own);

}  // namespace panal
