// What `panal doctor` examines: links, addresses, disk, catalog, store, roots. Each finding says
// what was found, with values, and what to do.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/application/mesh.h"
#include "server/data/block_store/block_store.h"
#include "server/data/catalog/catalog.h"
#include "server/runtime/options.h"

namespace panal {

// Free bytes on the data directory's disk below which doctor warns, and below which it says error.
inline constexpr int64_t kDiskLowBytes = 1ll << 30;
inline constexpr int64_t kDiskOutBytes = 64ll << 20;

// Ids of unpublished contents that doctor names.
inline constexpr size_t kUnpublishedNamedMax = 10;

// Join addresses whose last failure doctor tells. Guess: what fits a screen.
inline constexpr size_t kJoinFailuresNamedMax = 8;

// The worst first. `join_failures`: why the last dial of a join address failed, by address.
// Blocking: reads the whole catalog once.
std::vector<Finding> DiagnosePeer(const PeerStatus& status, const NodeOptions& options,
                                  const std::map<std::string, absl::Status>& join_failures,
                                  Catalog& catalog, BlockStore& blocks, absl::string_view data_dir);

}  // namespace panal
