#include "server/application/built_in_objects.h"

#include "common/base/status.h"
#include "server/application/file_servant.h"
#include "server/application/peer_servant.h"
#include "server/application/reflection_servant.h"
#include "server/application/search_servant.h"

namespace panal {

absl::StatusOr<std::shared_ptr<HealthServant>> AddBuiltInObjects(const BuiltInParts& parts,
                                                                 Router& router) {
  auto health = std::make_shared<HealthServant>(parts.dispatcher, router);
  const std::vector<ServantPtr> servants = {
      std::make_shared<PeerServant>(parts.dispatcher, router, parts.mesh, parts.catalog,
                                    parts.blocks),
      std::make_shared<FileServant>(parts.dispatcher, parts.mesh, parts.catalog, parts.files,
                                    parts.roots),
      std::make_shared<SearchServant>(parts.dispatcher, parts.mesh),
      std::make_shared<ReflectionServant>(kReflectionV1, parts.dispatcher, router),
      std::make_shared<ReflectionServant>(kReflectionV1Alpha, parts.dispatcher, router),
      health,
  };
  for (const ServantPtr& servant : servants) PANAL_RETURN_IF_ERROR(router.Add(servant));
  return health;
}

}  // namespace panal
