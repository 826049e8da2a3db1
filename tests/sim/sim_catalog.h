// The catalog of one simulated peer: pages in memory, searched by Matches over every record.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/model/frame.h"
#include "common/model/page.h"
#include "common/model/query.h"
#include "common/model/record.h"
#include "server/processing/core.h"

namespace panal::sim {

// A page with a fake signature; the body is made up from the records.
PagePtr MakePage(const PeerId& publisher, uint32_t number, uint64_t version, absl::Time expires,
                 std::vector<Record> records);

// Whether the fake signature of a page, or of the pages that a frame carries, is what MakePage
// makes.
bool IsSigned(const PageHeader& header);
bool IsSigned(const Frame& frame);

// Milliseconds since 1970, as pages have them.
uint64_t ToMilliseconds(absl::Time time);

// Pages as their newest refresh left them, so that all who keep one share it.
class RefreshedPages {
 public:
  // `page` under `header`.
  PagePtr Of(const Page& page, const PageHeader& header);

 private:
  absl::btree_map<PageKey, PagePtr> pages_;
};

class SimCatalog {
 public:
  // A page, and when its records came here or changed, by their place.
  struct Kept {
    PagePtr page;
    absl::InlinedVector<absl::Time, 1> arrived;
  };

  // `kept_max`: pages of other publishers. `refreshed` must outlive the catalog.
  SimCatalog(const PeerId& owner, size_t kept_max, RefreshedPages& refreshed)
      : owner_(owner), kept_max_(kept_max), refreshed_(refreshed) {}

  // What StorePage brings about (data/catalog, C2).
  // `fresh`, where it is given: the places of the records that are new here, or newer.
  PageOutcome Store(const PagePtr& page, bool has_body, absl::Time now,
                    std::vector<uint32_t>* fresh = nullptr);
  // A kept or own page with its body; null when it is not here or expired.
  PagePtr Load(const PageKey& key, absl::Time now) const;
  IndexAnswered Search(const QueryIndex& query, absl::Time now);
  StandingMatched Match(const MatchStanding& match) const;

  bool HasMatch(const Query& query, absl::Time now) const;
  // What a digest holds of everything that has not expired.
  std::vector<uint32_t> DigestHashes(absl::Time now) const;

  // Own pages, expired or not, ascending by number.
  std::vector<PagePtr> OwnPages() const;
  // One of them; null when there is none.
  PagePtr OwnPage(uint32_t number) const;

  // Everything that is kept, expired or not, ascending by key.
  const std::vector<Kept>& pages() const { return pages_; }

  uint64_t evaluated() const { return evaluated_; }

 private:
  // The first that does not come before `key`.
  std::vector<Kept>::const_iterator Seek(const PageKey& key) const;
  const Kept* Find(const PageKey& key) const;
  std::vector<std::string> AddressesOf(const PeerId& publisher) const;
  // What `page` brings in the place of `before`, which may be null: the places of it.
  static std::vector<uint32_t> Fresh(const Kept* before, Kept& page, absl::Time now);
  uint64_t VersionOf(const PeerId& publisher) const;

  const PeerId owner_;
  const size_t kept_max_;
  RefreshedPages& refreshed_;
  // A sorted vector of pages that are shared: the pages of 100,000 catalogs are most of them.
  std::vector<Kept> pages_;
  size_t kept_ = 0;
  uint64_t evaluated_ = 0;
};

}  // namespace panal::sim
