// Peers that this one knows (catalog.h: FindPeers, Known peers) and settings kept between runs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/model/record.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

absl::Status RememberPeers(Connection& db, const std::vector<PeerContact>& peers, int64_t now_ms,
                           int peers_max);
absl::StatusOr<std::vector<PeerContact>> KnownPeers(Connection& db, int limit);
absl::StatusOr<std::vector<PeerContact>> FindPeers(Connection& db, absl::string_view prefix,
                                                   int limit);

// What the peer page of a peer says.
struct PublishedContact {
  std::vector<std::string> addresses;
  uint64_t version = 0;  // Of the peer record. 0: no peer page is kept.
};

// From the peer page of `peer`, where one is kept, expired or not.
absl::StatusOr<PublishedContact> FindPublishedContact(Connection& db, const PeerId& peer);

absl::Status SetValue(Connection& db, absl::string_view key, absl::string_view value);
absl::StatusOr<std::optional<std::string>> GetValue(Connection& db, absl::string_view key);

}  // namespace panal::catalog
