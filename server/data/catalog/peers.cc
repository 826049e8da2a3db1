#include "server/data/catalog/peers.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/base/status.h"
#include "server/data/catalog/codec.h"

namespace panal::catalog {
namespace {

// Rows of (id, addresses).
absl::StatusOr<std::vector<PeerContact>> ReadContacts(absl::StatusOr<Statement> statement,
                                                      absl::string_view path) {
  if (!statement.ok()) return statement.status();
  std::vector<PeerContact> peers;
  while (true) {
    PANAL_ASSIGN_OR_RETURN(bool found, statement->Step());
    if (!found) return peers;
    PeerContact peer;
    PANAL_ASSIGN_OR_RETURN(peer.id, IdFrom<PeerId>(statement->Bytes(0), path));
    PANAL_ASSIGN_OR_RETURN(peer.addresses, DecodeAddresses(statement->Bytes(1), path));
    peers.push_back(std::move(peer));
  }
}

// A peer record counts only on the peer page of the peer itself: anyone may sign anything.
constexpr absl::string_view kPublishedPeers =
    "SELECT r.id, r.addresses FROM record r INDEXED BY record_peer CROSS JOIN page p ON p.key = "
    "r.page "
    "WHERE r.kind = 4 AND r.id BETWEEN ? AND ? AND p.publisher = r.id AND p.number = 0 "
    "ORDER BY r.id LIMIT ?";

}  // namespace

absl::Status RememberPeers(Connection& db, const std::vector<PeerContact>& peers, int64_t now_ms,
                           int peers_max) {
  for (const PeerContact& peer : peers) {
    if (peer.addresses.empty()) continue;  // Nothing to dial.
    PANAL_RETURN_IF_ERROR(db.Run(
        "INSERT INTO known_peer(id, seen_ms, addresses) VALUES(?, ?, ?) ON CONFLICT(id) DO UPDATE "
        "SET seen_ms = excluded.seen_ms, addresses = excluded.addresses",
        Blob{peer.id.view()}, now_ms, Blob{EncodeAddresses(peer.addresses)}));
  }
  return db.Run(
      "DELETE FROM known_peer WHERE id IN (SELECT id FROM known_peer ORDER BY seen_ms, id LIMIT "
      "max(0, (SELECT count(*) FROM known_peer) - ?))",
      static_cast<int64_t>(peers_max));
}

absl::StatusOr<std::vector<PeerContact>> KnownPeers(Connection& db, int limit) {
  return ReadContacts(
      db.Query("SELECT id, addresses FROM known_peer ORDER BY seen_ms DESC, id DESC LIMIT ?",
               static_cast<int64_t>(std::max(limit, 0))),
      db.path());
}

absl::StatusOr<std::vector<PeerContact>> FindPeers(Connection& db, absl::string_view prefix,
                                                   int limit) {
  PrefixRange prefix_range = RangeOfPrefix(prefix);
  if (!prefix_range.valid || limit <= 0) return std::vector<PeerContact>();
  Blob first{prefix_range.range.first};
  Blob last{prefix_range.range.last};
  auto count = static_cast<int64_t>(limit);
  PANAL_ASSIGN_OR_RETURN(std::vector<PeerContact> published,
                         ReadContacts(db.Query(kPublishedPeers, first, last, count), db.path()));
  PANAL_ASSIGN_OR_RETURN(
      std::vector<PeerContact> known,
      ReadContacts(db.Query("SELECT id, addresses FROM known_peer WHERE id BETWEEN ? AND ? "
                            "ORDER BY id LIMIT ?",
                            first, last, count),
                   db.path()));
  // What a peer signed itself goes before what was remembered of it, unless it names no address.
  std::map<PeerId, PeerContact> peers;
  for (PeerContact& peer : published) peers[peer.id] = std::move(peer);
  for (PeerContact& peer : known) {
    PeerContact& entry = peers[peer.id];
    if (entry.addresses.empty()) entry = std::move(peer);
  }
  std::vector<PeerContact> result;
  for (auto& [id, peer] : peers) {
    if (result.size() == static_cast<size_t>(limit)) break;
    result.push_back(std::move(peer));
  }
  return result;
}

absl::StatusOr<PublishedContact> FindPublishedContact(Connection& db, const PeerId& peer) {
  PublishedContact contact;
  PANAL_ASSIGN_OR_RETURN(
      Statement row,
      db.Query(
          "SELECT r.addresses, r.version FROM record r INDEXED BY record_peer CROSS JOIN page p "
          "ON p.key = r.page WHERE r.kind = 4 AND r.id = ? AND p.publisher = r.id AND "
          "p.number = 0 LIMIT 1",
          Blob{peer.view()}));
  PANAL_ASSIGN_OR_RETURN(bool found, row.Step());
  if (!found) return contact;
  PANAL_ASSIGN_OR_RETURN(contact.addresses, DecodeAddresses(row.Bytes(0), db.path()));
  contact.version = static_cast<uint64_t>(row.Int(1));
  return contact;
}

absl::Status SetValue(Connection& db, absl::string_view key, absl::string_view value) {
  return db.Run("INSERT OR REPLACE INTO setting(key, value) VALUES(?, ?)", key, Blob{value});
}

absl::StatusOr<std::optional<std::string>> GetValue(Connection& db, absl::string_view key) {
  PANAL_ASSIGN_OR_RETURN(Statement row, db.Query("SELECT value FROM setting WHERE key = ?", key));
  PANAL_ASSIGN_OR_RETURN(bool found, row.Step());
  if (!found) return std::optional<std::string>();
  return std::optional<std::string>(std::string(row.Bytes(0)));
}

}  // namespace panal::catalog
