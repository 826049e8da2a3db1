// The objects that every peer has, put into a router.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/application/dispatcher.h"
#include "server/application/health_servant.h"
#include "server/application/mesh.h"
#include "server/application/router.h"
#include "server/data/block_store/block_store.h"
#include "server/data/catalog/catalog.h"
#include "server/data/file_store/file_store.h"

namespace panal {

// What the built-in objects stand on. Everything must outlive the router and the calls under way.
struct BuiltInParts {
  Dispatcher& dispatcher;
  Mesh& mesh;
  Catalog& catalog;
  BlockStore& blocks;
  FileStore& files;
  std::vector<std::string> roots;  // Folders that AddPath may add from, resolved.
};

// Adds PeerObject, FileObject, SearchObject, reflection (v1 and v1alpha) and health to `router`,
// which must outlive their calls. Returns the health servant: tell it when the peer stops and when
// objects come or go.
absl::StatusOr<std::shared_ptr<HealthServant>> AddBuiltInObjects(const BuiltInParts& parts,
                                                                 Router& router);

}  // namespace panal
