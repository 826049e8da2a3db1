#include "server/data/catalog/redemptions.h"

#include "absl/time/time.h"
#include "common/base/status.h"

namespace panal::catalog {

namespace {

absl::Status Count(Connection& db, const TicketUse& use, const PeerId& peer) {
  return db.Run("INSERT OR IGNORE INTO redemption(ticket, peer, forget_ms) VALUES(?, ?, ?)",
                Blob{use.ticket}, Blob{peer.view()}, absl::ToUnixMillis(use.forget_at));
}

}  // namespace

absl::StatusOr<bool> RedeemTicket(Connection& db, const TicketUse& use, int64_t now_ms) {
  PANAL_RETURN_IF_ERROR(db.Run("DELETE FROM redemption WHERE forget_ms <= ?", now_ms));
  for (const PeerId& other : use.others) PANAL_RETURN_IF_ERROR(Count(db, use, other));
  PANAL_ASSIGN_OR_RETURN(
      const int64_t again,
      db.QueryInt(0, "SELECT count(*) FROM redemption WHERE ticket = ? AND peer = ?",
                  Blob{use.ticket}, Blob{use.peer.view()}));
  if (again > 0) return true;
  PANAL_ASSIGN_OR_RETURN(
      const int64_t used,
      db.QueryInt(0, "SELECT count(*) FROM redemption WHERE ticket = ?", Blob{use.ticket}));
  if (used >= use.uses) return false;
  PANAL_RETURN_IF_ERROR(Count(db, use, use.peer));
  return true;
}

}  // namespace panal::catalog
