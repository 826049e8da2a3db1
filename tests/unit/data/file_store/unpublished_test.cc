// Contents that are held although nothing publishes them.
#include "tests/unit/data/file_store/file_store_testing.h"

namespace panal {
namespace {

class Unpublished : public FileStoreTest {
 protected:
  void LoseCatalog() {
    CloseAll();
    for (const char* name : {"catalog.db", "catalog.db-wal", "catalog.db-shm"}) {
      std::filesystem::remove(folder_ + "/" + name);
    }
    OpenAll();
  }

  FileId ReceiveStored(const std::string& content) {
    Manifest manifest = ManifestOf(FileType::kFile, content);
    EXPECT_TRUE(store_->BeginReceive(manifest).ok());
    for (uint32_t i = 0; i < manifest.blocks.size(); ++i) {
      std::string block =
          content.substr(size_t{i} * manifest.block_size_bytes, manifest.BlockSize(i));
      EXPECT_TRUE(store_->ReceiveBlock(manifest.Id(), i, block).ok());
    }
    EXPECT_TRUE(store_->CheckpointReceive(manifest.Id()).ok());
    return manifest.Id();
  }

  FileId ReceiveDirectory(const std::vector<ListingEntry>& entries) {
    std::string listing = EncodeListing(entries);
    Manifest manifest = ManifestOf(FileType::kDirectory, listing);
    EXPECT_TRUE(store_->ReceiveInline(manifest, listing).ok());
    return manifest.Id();
  }

  ListingEntry ReceiveEntry(const std::string& name, const std::string& content) {
    Manifest manifest = ManifestOf(FileType::kFile, content);
    EXPECT_TRUE(store_->ReceiveInline(manifest, content).ok());
    return {.name = name, .size_bytes = content.size(), .id = manifest.Id()};
  }

  void Restart() {
    CloseAll();
    OpenAll();
    ASSERT_TRUE(store_->DropUnreferenced().ok());
  }
};

TEST_F(Unpublished, ContentsOfTheBlockStoreOutliveTheCatalog) {
  std::string content = RandomBytes(2 * kBlockSizeMin + 5);
  FileId id = store_->Put("f", content, {})->id;
  ASSERT_TRUE(store_->Put("small", "in the catalog alone", {}).ok());

  LoseCatalog();

  EXPECT_EQ(adopted_, 1);
  EXPECT_EQ(*store_->DropUnreferenced(), 0);
  EXPECT_EQ(ReadAll(id), content);
  EXPECT_EQ(*store_->Resolve(id.ToText().substr(0, 8)), id);
  EXPECT_TRUE(store_->FindHeld(id)->held.empty());
  EXPECT_TRUE(Names().empty());
  EXPECT_EQ(*catalog_->KeptContents(), std::vector<FileId>{id});
  // A second start takes nothing in and frees nothing.
  Restart();
  EXPECT_EQ(adopted_, 0);
  EXPECT_EQ(ReadAll(id), content);
}

TEST_F(Unpublished, WhatWasAdoptedIsPublishedOrRemovedByItsId) {
  std::string one = RandomBytes(kBlockSizeMin, 1);
  std::string two = RandomBytes(kBlockSizeMin, 2);
  std::string three = RandomBytes(kBlockSizeMin, 3);
  FileId published = store_->Put("one", one, {})->id;
  FileId added = store_->Put("two", two, {})->id;
  FileId removed = store_->Put("three", three, {})->id;
  LoseCatalog();

  ASSERT_TRUE(store_->PublishFetched(published, "again", {}).ok());
  ASSERT_TRUE(store_->Put("two", two, {}).ok());
  absl::StatusOr<FileStore::Removed> gone = store_->Remove(removed);

  ASSERT_TRUE(gone.ok()) << gone.status();
  EXPECT_EQ(gone->files, 1u);
  EXPECT_EQ(gone->freed_bytes, int64_t{kBlockSizeMin});
  EXPECT_EQ(ReasonOf(store_->Remove(removed).status()), ErrorReason::kFileNotFound);
  EXPECT_TRUE(catalog_->KeptContents()->empty());
  Restart();
  EXPECT_EQ(ReadAll(published), one);
  EXPECT_EQ(ReadAll(added), two);
  // Published again, they go as everything published does.
  ASSERT_TRUE(store_->Remove(published).ok());
  ASSERT_TRUE(store_->Remove(added).ok());
  EXPECT_EQ(blocks_->stored_bytes(), 0);
}

TEST_F(Unpublished, AnInterruptedFetchGoesOnAfterTheCatalogIsLost) {
  std::string content = RandomBytes(2 * kBlockSizeMin);
  Manifest manifest = ManifestOf(FileType::kFile, content);
  ASSERT_TRUE(store_->BeginReceive(manifest).ok());
  ASSERT_TRUE(store_->ReceiveBlock(manifest.Id(), 1, content.substr(kBlockSizeMin)).ok());
  ASSERT_TRUE(store_->CheckpointReceive(manifest.Id()).ok());

  LoseCatalog();

  EXPECT_EQ(*store_->DropUnreferenced(), 0);
  EXPECT_EQ(store_->BeginReceive(manifest)->held, (std::vector<bool>{false, true}));
}

TEST_F(Unpublished, NothingUnknownIsFreedUntilEverythingWasTakenIn) {
  auto writer = blocks_->NewWriter(FileType::kFile, 5);
  ASSERT_TRUE((*writer)->Append("stray").ok());
  Manifest stray = *(*writer)->Finish();
  CloseAll();
  std::filesystem::remove(folder_ + "/catalog.db");
  auto catalog = Catalog::Open({.path = folder_ + "/catalog.db"});
  auto blocks = BlockStore::Open({.dir = folder_ + "/blocks"}, RealFileSystem());
  auto store = FileStore::Create(**catalog, **blocks, source_);

  EXPECT_EQ(*store->DropUnreferenced(), 0);

  EXPECT_EQ(*store->AdoptContents(), 1);
  EXPECT_EQ(*store->Read(stray.Id(), 0, 10), "stray");
}

TEST_F(Unpublished, WhatWasFetchedWholeOutlivesACrashBeforeItIsPublished) {
  std::string content = RandomBytes(2 * kBlockSizeMin);
  FileId stored = ReceiveStored(content);
  FileId small = ReceiveEntry("f", "small").id;

  Restart();

  EXPECT_EQ(ReadAll(stored), content);
  EXPECT_EQ(ReadAll(small), "small");
  for (const FileId& id : {stored, small}) ASSERT_TRUE(store_->PublishFetched(id, "f", {}).ok());
  EXPECT_TRUE(catalog_->KeptContents()->empty());
}

TEST_F(Unpublished, WhatAFailedAddLeftIsKeptOnceItIsFetched) {
  std::string small = "small";
  std::string large = RandomBytes(kBlockSizeMin);
  std::vector<Manifest> manifests;
  for (const std::string& content : {small, large}) {
    manifests.push_back(ManifestOf(FileType::kFile, content));
  }
  auto writer = blocks_->NewWriter(FileType::kFile, large.size());
  ASSERT_TRUE((*writer)->Append(large).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  ASSERT_TRUE(catalog_
                  ->PutContents({{.id = manifests[0].Id(),
                                  .manifest = manifests[0],
                                  .storage = StorageKind::kInline,
                                  .inline_bytes = small},
                                 {.id = manifests[1].Id(), .manifest = manifests[1]}})
                  .ok());

  for (const Manifest& manifest : manifests) {
    EXPECT_TRUE(store_->BeginReceive(manifest)->held.empty());
  }
  Restart();

  EXPECT_EQ(ReadAll(manifests[0].Id()), small);
  EXPECT_EQ(ReadAll(manifests[1].Id()), large);
}

TEST_F(Unpublished, AWholeDirectoryOutlivesACrashBeforeItIsPublished) {
  FileId id = ReceiveDirectory({ReceiveEntry("a", "1"), ReceiveEntry("b", "2")});

  Restart();

  EXPECT_EQ(store_->PublishFetched(id, "got", {})->files, 2u);
}

TEST_F(Unpublished, RemovingADirectoryFreesWhatNothingElseNeeds) {
  ListingEntry only = ReceiveEntry("only", "only here");
  ListingEntry shared = ReceiveEntry("shared", "in both");
  ListingEntry published = ReceiveEntry("published", "published too");
  ASSERT_TRUE(store_->Put("p", "published too", {}).ok());
  ListingEntry missing{.name = "z", .id = ManifestOf(FileType::kFile, "never came").Id()};
  FileId id = ReceiveDirectory({only, published, shared, missing});
  FileId other = ReceiveDirectory({shared});

  absl::StatusOr<FileStore::Removed> removed = store_->Remove(id);

  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(removed->files, 1u);
  EXPECT_EQ(ReasonOf(store_->Find(id).status()), ErrorReason::kFileNotFound);
  EXPECT_EQ(ReasonOf(store_->Find(only.id).status()), ErrorReason::kFileNotFound);
  EXPECT_EQ(ReadAll(shared.id), "in both");
  EXPECT_EQ(ReadAll(published.id), "published too");
  EXPECT_TRUE(store_->PublishFetched(other, "other", {}).ok());
}

TEST_F(Unpublished, WhatCanNeverBePublishedIsFreed) {
  ListingEntry entry = ReceiveEntry("a", "a");
  entry.size_bytes = 2;
  FileId id = ReceiveDirectory({entry});

  EXPECT_EQ(ReasonOf(store_->PublishFetched(id, "got", {}).status()), ErrorReason::kListingInvalid);

  EXPECT_EQ(ReasonOf(store_->Find(id).status()), ErrorReason::kFileNotFound);
  EXPECT_EQ(ReasonOf(store_->Find(entry.id).status()), ErrorReason::kFileNotFound);
}

}  // namespace
}  // namespace panal
