// Who used which ticket. Each method runs in the writer's transaction.
#pragma once

#include "absl/status/statusor.h"
#include "server/data/catalog/catalog.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

// As Catalog::RedeemTicket.
absl::StatusOr<bool> RedeemTicket(Connection& db, const TicketUse& use, int64_t now_ms);

}  // namespace panal::catalog
