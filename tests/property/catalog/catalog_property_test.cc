// The catalog against a naive model: maps that are searched from end to end. Tiny universes, so
// that names, ids, pages and times collide all the time; each seed is a case of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "common/base/random.h"
#include "common/model/hit_limit.h"
#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

constexpr int kSeeds = 400;
constexpr int kSteps = 40;
const PeerId kSelf = Peer("self");

using Name = std::pair<std::string, FileType>;

struct ModelFile {
  PublishedFile file;
  bool alone = false;
  std::set<std::string> parents;
};

struct Model {
  std::map<Name, ModelFile> published;
  std::map<PageKey, Page> pages;
  std::map<uint32_t, uint64_t> own_versions;  // The highest ever seen of a page.
  int64_t kept_max = 6;
  int64_t kept_per_publisher_max = 3;

  void Publish(const PublishedFile& file) {
    auto [entry, added] = published.try_emplace({file.name, file.type});
    ModelFile& model = entry->second;
    bool same = !added && model.file.id == file.id && model.file.attributes == file.attributes &&
                (file.type == FileType::kDirectory ? model.file.total_bytes == file.total_bytes
                                                   : model.file.size_bytes == file.size_bytes);
    if (!same) model = {};
    model.file = file;
    if (file.parent.empty()) model.alone = true;
    if (!file.parent.empty()) model.parents.insert(file.parent);
  }

  // Names that are gone; nothing where nothing was added under `id`.
  std::optional<std::set<Name>> Unpublish(const FileId& id) {
    std::set<Name> gone;
    bool found = false;
    for (auto& [name, model] : published) {
      if (model.file.id != id || !model.alone) continue;
      found = true;
      model.alone = false;
    }
    if (!found) return std::nullopt;
    Sweep(gone);
    return gone;
  }

  // Removes what nothing refers to until nothing changes.
  void Sweep(std::set<Name>& gone) {
    for (auto entry = published.begin(); entry != published.end(); ++entry) {
      if (entry->second.alone || !entry->second.parents.empty()) continue;
      Name name = entry->first;
      gone.insert(name);
      published.erase(entry);
      if (name.second == FileType::kDirectory) {
        for (auto& [other, model] : published) model.parents.erase(name.first);
      }
      Sweep(gone);
      return;
    }
  }

  int64_t Kept(std::optional<PeerId> publisher = std::nullopt) const {
    int64_t count = 0;
    for (const auto& [key, page] : pages) {
      if (key.publisher != kSelf && (!publisher || key.publisher == *publisher)) ++count;
    }
    return count;
  }

  bool HasRoom(const PeerId& publisher) const {
    return Kept() < kept_max && Kept(publisher) < kept_per_publisher_max;
  }

  int64_t DropExpired(absl::Time now) {
    return static_cast<int64_t>(std::erase_if(pages, [&](const auto& entry) {
      const Page& page = entry.second;
      bool droppable = entry.first.publisher != kSelf || page.records.empty();
      return droppable && static_cast<int64_t>(page.header.expires_ms) <= absl::ToUnixMillis(now);
    }));
  }

  StorePageResult Store(const Page& page, bool has_body, absl::Time now) {
    if (static_cast<int64_t>(page.header.expires_ms) <= absl::ToUnixMillis(now)) {
      return StorePageResult::kStale;
    }
    auto kept = pages.find(page.header.key);
    if (kept == pages.end()) {
      if (!has_body) return StorePageResult::kBodyMissing;
      if (!HasRoom(page.header.key.publisher)) DropExpired(now);
      if (!HasRoom(page.header.key.publisher)) return StorePageResult::kFull;
      pages[page.header.key] = page;
      return StorePageResult::kStored;
    }
    const PageHeader& old = kept->second.header;
    const PageHeader& header = page.header;
    bool same_body = old.body_hash == header.body_hash;
    if (header.version < old.version) return StorePageResult::kStale;
    if (header.version == old.version && (!same_body || header.expires_ms < old.expires_ms)) {
      return StorePageResult::kStale;
    }
    if (!same_body && !has_body) return StorePageResult::kBodyMissing;
    if (same_body) {
      kept->second.header = header;
      return StorePageResult::kRefreshed;
    }
    kept->second = page;
    return StorePageResult::kStored;
  }
};

class Walk {
 public:
  explicit Walk(uint64_t seed) : random_(seed) { Reopen(); }

  void Go() {
    for (int step = 0; step < kSteps && !::testing::Test::HasFailure(); ++step) {
      switch (random_.Below(10)) {
        case 0:
        case 1:
          Publish();
          break;
        case 2:
          Unpublish();
          break;
        case 3:
          Sign();
          break;
        case 4:
        case 5:
          Store();
          break;
        case 6:
          now_ += absl::Seconds(static_cast<int64_t>(random_.Below(7)) - 2);
          break;
        case 7:
          EXPECT_EQ(*catalog_->DropExpiredPages(now_), model_.DropExpired(now_));
          break;
        case 8:
          if (random_.Below(4) == 0) Reopen();
          break;
        default:
          Search();
      }
    }
    Compare();
  }

 private:
  void Reopen() {
    catalog_.reset();
    CatalogOptions options = OptionsIn(dir_);
    options.kept_pages_max = model_.kept_max;
    options.kept_pages_per_publisher_max = model_.kept_per_publisher_max;
    catalog_ = OpenOrDie(options);
  }

  template <typename T>
  T OneOf(std::vector<T> items) {
    return items[random_.Below(items.size())];
  }

  PublishedFile RandomFile() {
    std::string parent = OneOf<std::string>({"", "", "d", "d/s"});
    std::string content = absl::StrCat("content ", random_.Below(5));
    if (random_.Below(3) == 0) {
      return MakeDirectory(OneOf<std::string>({"d", "d/s"}), content, random_.Below(2), parent);
    }
    Attributes attributes;
    if (random_.Below(3) == 0) attributes = {{"lang", OneOf<std::string>({"en", "es"})}};
    return MakeFile(OneOf<std::string>({"a", "b c", "d", "d/x", "d/y", "d/s/z"}), content,
                    attributes, parent);
  }

  void Publish() {
    std::vector<PublishedFile> files;
    for (uint64_t i = random_.Below(4) + 1; i > 0; --i) files.push_back(RandomFile());
    ASSERT_TRUE(catalog_->Publish(files).ok());
    for (const PublishedFile& file : files) model_.Publish(file);
  }

  void Unpublish() {
    FileId id = File(absl::StrCat("content ", random_.Below(5)));
    auto removed = catalog_->Unpublish(id);
    std::optional<std::set<Name>> expected = model_.Unpublish(id);
    ASSERT_EQ(removed.ok(), expected.has_value()) << removed.status();
    if (!removed.ok()) return;
    std::set<Name> names;
    for (const PublishedFile& file : *removed) names.insert({file.name, file.type});
    EXPECT_EQ(names, *expected);
    EXPECT_EQ(removed->size(), expected->size());
  }

  void Sign() {
    auto dirty = catalog_->DirtyPages(100);
    ASSERT_TRUE(dirty.ok());
    for (DirtyPage& page : *dirty) {
      EXPECT_GT(page.version, model_.own_versions[page.number]);
      model_.own_versions[page.number] = page.version;
      Page own = MakePage(kSelf, page.number, page.version, std::move(page.records),
                          now_ + absl::Seconds(1 + static_cast<int64_t>(random_.Below(5))));
      ASSERT_TRUE(catalog_->StoreOwnPage(own).ok());
      model_.pages[own.header.key] = own;
    }
    ExpectOwnPagesHoldWhatIsPublished();
  }

  void ExpectOwnPagesHoldWhatIsPublished() {
    std::multiset<std::string> on_pages;
    for (const auto& [key, page] : model_.pages) {
      if (key.publisher != kSelf) continue;
      for (const Record& record : page.records) on_pages.insert(Describe(record));
    }
    std::multiset<std::string> expected;
    for (const auto& [name, model] : model_.published) {
      Record record{
          .kind = name.second == FileType::kFile ? RecordKind::kFile : RecordKind::kDirectory,
          .name = name.first};
      record.id.bytes = model.file.id.bytes;
      record.size_bytes =
          name.second == FileType::kFile ? model.file.size_bytes : model.file.total_bytes;
      record.attributes = model.file.attributes;
      expected.insert(Describe(record));
    }
    EXPECT_EQ(on_pages, expected);
  }

  static std::string Describe(const Record& record) {
    std::string text = absl::StrCat(RecordKindName(record.kind), " ", record.name, " ",
                                    record.id.ToText(), " ", record.size_bytes);
    for (const auto& [key, value] : record.attributes) absl::StrAppend(&text, " ", key, "=", value);
    return text;
  }

  void Store() {
    std::vector<Record> records;
    for (uint64_t i = random_.Below(4); i > 0; --i) {
      Record record = MakeRecord(OneOf<std::string>({"a", "a b", "b c a", "Ä-c"}),
                                 OneOf<RecordKind>({RecordKind::kFile, RecordKind::kDirectory,
                                                    RecordKind::kObject, RecordKind::kPeer}));
      if (random_.Below(2) == 0) record.attributes["lang"] = OneOf<std::string>({"en", "es a"});
      record.version = random_.Below(2);
      records.push_back(std::move(record));
    }
    Page page =
        MakePage(Peer(absl::StrCat(random_.Below(3))), static_cast<uint32_t>(random_.Below(4)),
                 1 + random_.Below(4), std::move(records),
                 now_ + absl::Seconds(static_cast<int64_t>(random_.Below(6))));
    bool has_body = random_.Below(4) != 0;
    Page sent = page;
    if (!has_body) sent.body.clear();
    if (!has_body) sent.records.clear();

    auto result = catalog_->StorePage(sent, has_body, now_);

    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(static_cast<int>(*result), static_cast<int>(model_.Store(page, has_body, now_)));
  }

  std::string RandomQuery(int depth) {
    switch (random_.Below(depth > 0 ? 11 : 8)) {
      case 0:
        return OneOf<std::string>({"\"a b\"", "\"b c\"", "\"en a\"", "\"c a\""});
      case 1:
        return OneOf<std::string>({"a*", "co*", "e*", "es*"});
      case 2:
        return OneOf<std::string>({"kind:file", "kind:directory", "kind:object", "kind:peer", "*"});
      case 3:
        return OneOf<std::string>({"size>2", "size<=3", "size>=4 size<100", "size=9"});
      case 4:
        return OneOf<std::string>({"lang:en", "lang:es", "lang>en", "name:a"});
      case 5:
        return "id:" + MakeRecord("a b").id.ToText().substr(0, 4 + random_.Below(40));
      case 6:
      case 7:
        return OneOf<std::string>({"a", "b", "c", "en", "x", "d", "s"});
      case 8:
        return absl::StrCat("(", RandomQuery(depth - 1), " OR ", RandomQuery(depth - 1), ")");
      case 9:
        return absl::StrCat("(", RandomQuery(depth - 1), " ", RandomQuery(depth - 1), ")");
      default:
        return absl::StrCat("-(", RandomQuery(depth - 1), ")");
    }
  }

  // What the limit of a search counts: an id, or an object, which has none.
  static std::string WhatIsFound(const Record& record, const PeerId& publisher) {
    return record.kind == RecordKind::kObject ? publisher.ToText() + record.name
                                              : record.id.ToText();
  }

  static size_t CountTold(const std::map<std::string, std::map<PeerId, size_t>>& by_id) {
    size_t told = 0;
    for (const auto& [id, publishers] : by_id) {
      for (const auto& [publisher, names] : publishers)
        told += std::min(names, kNamesPerPublisherMax);
    }
    return told;
  }

  void Search() {
    std::string text = RandomQuery(2);
    auto query = Query::Parse(text);
    ASSERT_TRUE(query.ok()) << text << ": " << query.status();
    std::multiset<std::string> expected;
    std::map<std::string, std::map<PeerId, size_t>> by_id;
    for (const auto& [key, page] : model_.pages) {
      if (static_cast<int64_t>(page.header.expires_ms) <= absl::ToUnixMillis(now_)) continue;
      for (const Record& record : page.records) {
        if (Matches(*query, record, key.publisher)) {
          expected.insert(Describe(record) + key.publisher.ToText());
          ++by_id[WhatIsFound(record, key.publisher)][key.publisher];
        }
      }
    }
    int limit = random_.Below(3) == 0 ? static_cast<int>(random_.Below(4)) : 1000;

    auto result = catalog_->Search(*query, limit, absl::Minutes(5), now_);

    ASSERT_TRUE(result.ok()) << text << ": " << result.status();
    EXPECT_EQ(result->truncated, by_id.size() > static_cast<size_t>(limit)) << text;
    std::multiset<std::string> found;
    std::set<std::string> ids;
    for (const Hit& hit : result->hits) {
      found.insert(Describe(hit.record) + hit.publisher.id.ToText());
      ids.insert(WhatIsFound(hit.record, hit.publisher.id));
    }
    EXPECT_EQ(ids.size(), std::min(by_id.size(), static_cast<size_t>(limit))) << text;
    if (!result->truncated) {
      EXPECT_EQ(found.size(), CountTold(by_id)) << text;
    }
    EXPECT_TRUE(std::includes(expected.begin(), expected.end(), found.begin(), found.end()))
        << text;
  }

  void Compare() {
    EXPECT_TRUE(catalog_->CheckIntegrity().ok()) << catalog_->CheckIntegrity();
    for (const auto& [key, page] : model_.pages) {
      auto found = catalog_->FindPage(key);
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_TRUE(SamePage(**found, page));
    }
    auto listed = catalog_->ListPublished("", 1000, /*recursive=*/true);
    ASSERT_EQ(listed->size(), model_.published.size());
    int64_t alone = 0;
    for (const auto& [name, model] : model_.published) alone += model.alone ? 1 : 0;
    EXPECT_EQ(*catalog_->CountPublished(), alone);
  }

  Random random_;
  TempDir dir_;
  Model model_;
  absl::Time now_ = kNow;
  std::unique_ptr<SqliteCatalog> catalog_;
};

TEST(Catalog, AgreesWithANaiveModel) {
  for (uint64_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Walk(seed).Go();
  }
}

}  // namespace
}  // namespace panal::catalog_test
