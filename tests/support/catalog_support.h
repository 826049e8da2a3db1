// Builders for tests of the catalog: folders, files, pages.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "server/data/catalog/catalog_impl.h"

namespace panal::catalog_test {

using catalog::SqliteCatalog;

inline constexpr absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

// A folder that goes with the object, in memory where that is possible: a sync costs milliseconds
// on a disk, and these tests make tens of thousands.
class TempDir {
 public:
  TempDir() : path_(Root() + "/panal-XXXXXX") { PANAL_CHECK(mkdtemp(path_.data()) != nullptr); }

  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }

 private:
  static std::string Root() {
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                         : std::filesystem::temp_directory_path().string();
  }

  std::string path_;
};

inline CatalogOptions OptionsIn(const TempDir& dir) { return {.path = dir.path() + "/catalog.db"}; }

inline std::unique_ptr<SqliteCatalog> OpenOrDie(const CatalogOptions& options) {
  auto catalog = SqliteCatalog::Open(options);
  if (!catalog.ok()) fprintf(stderr, "%s\n", catalog.status().ToString().c_str());
  PANAL_CHECK(catalog.ok());
  return *std::move(catalog);
}

template <typename Id>
Id IdOf(absl::string_view text) {
  Id id;
  id.bytes = Sha256(text).bytes;
  return id;
}

inline FileId File(absl::string_view text) { return IdOf<FileId>(text); }

inline PeerId Peer(absl::string_view text) { return IdOf<PeerId>(text); }

inline PublishedFile MakeFile(std::string name, absl::string_view content = "content",
                              Attributes attributes = {}, std::string parent = "") {
  return {.name = std::move(name),
          .id = File(content),
          .size_bytes = content.size(),
          .total_bytes = content.size(),
          .files = 1,
          .attributes = std::move(attributes),
          .parent = std::move(parent)};
}

inline PublishedFile MakeDirectory(std::string name, absl::string_view content, uint64_t files = 1,
                                   std::string parent = "") {
  return {.name = std::move(name),
          .id = File(content),
          .type = FileType::kDirectory,
          .size_bytes = content.size(),
          .total_bytes = 1000 * files,
          .files = files,
          .parent = std::move(parent)};
}

inline Record MakeRecord(std::string name, RecordKind kind = RecordKind::kFile,
                         Attributes attributes = {}) {
  Record record{.kind = kind, .name = std::move(name)};
  record.id = Sha256(record.name);
  record.size_bytes = record.name.size();
  record.attributes = std::move(attributes);
  record.version = 1;
  return record;
}

inline Record MakePeerRecord(const PeerId& peer, std::vector<std::string> addresses) {
  Record record{.kind = RecordKind::kPeer, .name = peer.ToText()};
  record.id.bytes = peer.bytes;
  record.addresses = std::move(addresses);
  record.version = 1;
  return record;
}

// A page as the runtime hands it on, with a body that stands for its records. Signatures are not
// the catalog's business.
inline Page MakePage(const PeerId& publisher, uint32_t number, uint64_t version,
                     std::vector<Record> records, absl::Time expires = kNow + kPageLifetime) {
  Page page;
  page.header.key = {publisher, number};
  page.header.version = version;
  page.header.expires_ms = static_cast<uint64_t>(absl::ToUnixMillis(expires));
  page.header.public_key = std::string(32, 'k');
  page.header.signature = Sha256(absl::StrCat(version, " ", page.header.expires_ms)).ToBytes();
  for (const Record& record : records) {
    absl::StrAppend(&page.body, static_cast<int>(record.kind), record.name, record.version,
                    record.id.view());
    for (const auto& [key, value] : record.attributes) absl::StrAppend(&page.body, key, "=", value);
  }
  page.header.body_hash = Sha256(page.body);
  page.records = std::move(records);
  return page;
}

inline bool SamePage(const Page& a, const Page& b) {
  return a.header == b.header && a.body == b.body && a.records == b.records;
}

// Signs and stores every dirty page, as the runtime does. Returns how many there were.
inline int SignDirtyPages(Catalog& catalog, const PeerId& self,
                          absl::Time expires = kNow + kPageLifetime) {
  int signed_pages = 0;
  while (true) {
    auto dirty = catalog.DirtyPages(16);
    PANAL_CHECK(dirty.ok());
    if (dirty->empty()) return signed_pages;
    for (DirtyPage& page : *dirty) {
      Page own = MakePage(self, page.number, page.version, std::move(page.records), expires);
      PANAL_CHECK(catalog.StoreOwnPage(own).ok());
      ++signed_pages;
    }
  }
}

inline Query ParseOrDie(absl::string_view text) {
  auto query = Query::Parse(text);
  PANAL_CHECK(query.ok());
  return *std::move(query);
}

// Names of the hits of a search without limits, sorted.
inline std::vector<std::string> Names(Catalog& catalog, absl::string_view query,
                                      absl::Time now = kNow) {
  auto result = catalog.Search(ParseOrDie(query), 1 << 30, absl::Minutes(5), now);
  PANAL_CHECK(result.ok() && !result->truncated && !result->out_of_time);
  std::vector<std::string> names;
  for (const Hit& hit : result->hits) names.push_back(hit.record.name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace panal::catalog_test
