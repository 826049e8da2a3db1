// Where peers can be dialled: what links, views and hits brought, then the catalog, then a search
// of the mesh for the peer's record.
//
// Thread-safe; no method blocks.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/model/record.h"
#include "server/application/dispatcher.h"
#include "server/data/catalog/catalog.h"
#include "server/runtime/core_driver.h"

namespace panal {

// Contacts remembered. 4,096 at some 300 bytes are about 1 MiB.
inline constexpr size_t kContactsMax = 4096;
// Time to search the mesh for a peer's record.
inline constexpr absl::Duration kResolveTimeout = absl::Seconds(5);

class Contacts {
 public:
  // Everything passed must outlive the contacts.
  Contacts(PeerContact self, CoreDriver& driver, Catalog& catalog, Dispatcher& dispatcher);

  // Remembers where `contact` can be dialled. `version`: of the peer record that says so; one that
  // is not newer than the record known already changes nothing. 0: the peer itself says so, which
  // holds until a newer record comes.
  void Learn(const PeerContact& contact, uint64_t version = 0);
  void SetSelf(const PeerContact& self);

  // Finds a peer by its id. Error: PEER_UNKNOWN.
  void Find(const PeerId& peer, std::function<void(absl::StatusOr<PeerContact>)> done);
  // Finds the one peer whose id begins with `prefix`. Errors: PEER_ID_INVALID, PEER_UNKNOWN,
  // PEER_AMBIGUOUS.
  void Resolve(const std::string& prefix, std::function<void(absl::StatusOr<PeerContact>)> done);

 private:
  using Done = std::function<void(absl::StatusOr<PeerContact>)>;
  using Found = std::map<PeerId, PeerContact>;

  // Contacts in memory whose id begins with `prefix`.
  Found Known(absl::string_view prefix) const;
  // What is known of the contact's peer by now.
  PeerContact Newest(const PeerContact& contact) const;
  void SearchCatalog(const std::string& prefix, Found found, Done done);
  void SearchMesh(const std::string& prefix, Found found, Done done);
  static absl::StatusOr<PeerContact> TheOne(const std::string& prefix, const Found& found);

  CoreDriver& driver_;
  Catalog& catalog_;
  Dispatcher& dispatcher_;
  mutable Mutex mutex_;
  PeerContact self_ ABSL_GUARDED_BY(mutex_);

  struct Entry {
    PeerContact contact;
    uint64_t version = 0;  // Of the newest peer record known; 0: none.
    std::list<PeerId>::iterator age;
  };

  std::map<PeerId, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::list<PeerId> ages_ ABSL_GUARDED_BY(mutex_);  // Learned last first.
};

}  // namespace panal
