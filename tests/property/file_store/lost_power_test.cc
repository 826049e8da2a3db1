// Power lost under the catalog and the block store at once: whatever was acknowledged reads back
// whole.
//
// Method: random commands of one program on a file store whose two disks, the block store's file
// layer and the one below SQLite, stop at the same moment: at a random operation of either. Each
// loses a part of what was not synced. Both stores are opened again as at a start, compared with
// what was promised, and the commands go on.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <vector>

#include "server/data/file_store/file_store.h"
#include "tests/support/block_store_testing.h"
#include "tests/support/catalog_support.h"
#include "tests/support/logged_disk.h"

namespace panal {
namespace {

using catalog_test::OptionsIn;
using catalog_test::TempDir;

constexpr int kSeeds = 300;
constexpr int kRounds = 3;
constexpr int kCommands = 20;

class LostPowerTest {
 public:
  explicit LostPowerTest(uint64_t seed) : random_(seed) {
    // Inline, of one block, of several.
    for (uint64_t i = 0; i < 6; ++i) {
      size_t size = i < 2 ? 10 + i : i < 4 ? kInlineSizeMax + i : 2 * kBlockSizeMin + i;
      contents_.push_back(Content::Of(size, seed * 100 + i));
    }
    for (int i = 0; i < 4; ++i) names_[absl::StrCat("name ", i)] = {std::nullopt};
  }

  void Run() {
    for (int round = 0; round < kRounds; ++round) {
      SCOPED_TRACE(round);
      ASSERT_NO_FATAL_FAILURE(Round());
    }
  }

 private:
  // What a name may stand for: one state when an answer said so, else the one before too. Nothing:
  // not published.
  using States = std::set<std::optional<FileId>>;

  void Round() {
    TempDir dir;
    Write(dir);
    LoggedDisk disk;
    ASSERT_NO_FATAL_FAILURE(Open(dir));
    Check();
    CutAtRandom(disk);
    for (int i = 0; i < kCommands; ++i) Command();
    fs_.StopAfter(0);
    Close();
    disk_files_ = FilesAfterCut(disk_files_, disk.log(), disk.log().size(), random_);
    disk.SetPower(nullptr);
    const double survivals[] = {0, 0.3, 0.7, 1};
    fs_.PowerCut(random_, survivals[random_.Below(4)]);
  }

  void Write(const TempDir& dir) {
    for (const auto& [name, bytes] : disk_files_) {
      std::ofstream(dir.path() + "/" + name, std::ios::binary) << bytes;
    }
  }

  void Open(const TempDir& dir) {
    auto catalog = Catalog::Open(OptionsIn(dir));
    ASSERT_TRUE(catalog.ok()) << catalog.status();
    catalog_ = *std::move(catalog);
    blocks_ = OpenStore(fs_);
    store_ = FileStore::Create(*catalog_, *blocks_);
    auto adopted = store_->AdoptContents();
    ASSERT_TRUE(adopted.ok()) << adopted.status();
    auto freed = store_->DropUnreferenced();
    ASSERT_TRUE(freed.ok()) << freed.status();
  }

  void Close() {
    store_.reset();
    blocks_.reset();
    catalog_.reset();
  }

  // At an operation of the block store, or of the catalog.
  void CutAtRandom(LoggedDisk& disk) {
    fs_.StopAfter(static_cast<int64_t>(random_.Below(250)));
    disk.SetPower([this, left = random_.Below(250)]() mutable {
      if (left == 0) fs_.StopAfter(0);
      if (left > 0) --left;
      return !fs_.stopped();
    });
  }

  void Command() {
    const Content& content = contents_[random_.Below(contents_.size())];
    std::string name = absl::StrCat("name ", random_.Below(4));
    switch (random_.Below(8)) {
      case 0:
      case 1:
        return Publishes(name, content.id, store_->Put(name, content.bytes, {}).ok());
      case 2:
      case 3:
        return Upload(name, content);
      case 4:
      case 5:
        return Fetch(name, content);
      case 6:
        return Remove(content.id);
      default:
        (void)store_->DropUnreferenced();
    }
  }

  void Publishes(const std::string& name, const FileId& id, bool acknowledged) {
    if (acknowledged) names_[name].clear();
    names_[name].insert(id);
    fetched_.erase(id);  // Published, that keeps it; replaced, nothing does.
  }

  void Upload(const std::string& name, const Content& content) {
    auto upload = store_->NewUpload();
    bool sent = upload->BeginFile(name, content.bytes.size(), false, {}, false).ok();
    for (size_t at = 0; sent && at < content.bytes.size(); at += 100'000) {
      sent = upload->Append(at, absl::string_view(content.bytes).substr(at, 100'000)).ok();
    }
    if (sent) Publishes(name, content.id, upload->FinishFile().ok());
  }

  void Fetch(const std::string& name, const Content& content) {
    bool whole = content.bytes.size() <= kInlineSizeMax
                     ? store_->ReceiveInline(content.manifest, content.bytes).ok()
                     : Receive(content);
    if (!whole) return;
    if (!IsPublished(content.id)) fetched_.insert(content.id);
    // Or the crash comes before that.
    if (random_.Below(2) == 0) return;
    Publishes(name, content.id, store_->PublishFetched(content.id, name, {}).ok());
  }

  bool Receive(const Content& content) {
    auto held = store_->BeginReceive(content.manifest);
    if (!held.ok()) return false;
    for (uint32_t i = 0; i < held->held.size(); ++i) {
      if (held->held[i]) continue;
      if (!store_->ReceiveBlock(content.id, i, content.Block(i)).ok()) return false;
      if (random_.Below(4) == 0) return false;  // Interrupted.
    }
    return store_->CheckpointReceive(content.id).ok();
  }

  void Remove(const FileId& id) {
    fetched_.erase(id);
    bool removed = store_->Remove(id).ok();
    for (auto& [name, states] : names_) {
      if (!states.contains(id)) continue;
      if (removed) states.erase(id);
      states.insert(std::nullopt);
    }
  }

  bool IsPublished(const FileId& id) {
    auto published = catalog_->IsPublished(id);
    return published.ok() && *published;
  }

  void Check() {
    std::map<std::string, FileId> found;
    auto files = catalog_->ListPublished("", 100, true);
    ASSERT_TRUE(files.ok()) << files.status();
    for (const PublishedFile& file : *files) {
      found[file.name] = file.id;
      ASSERT_TRUE(names_[file.name].contains(file.id)) << file.name;
      SCOPED_TRACE(file.name);
      ReadBack(file.id);
    }
    for (auto& [name, states] : names_) {
      auto at = found.find(name);
      std::optional<FileId> state;
      if (at != found.end()) state = at->second;
      ASSERT_TRUE(state || states.contains(std::nullopt)) << name << " is lost";
      states = {state};
    }
    for (const FileId& id : fetched_) {
      SCOPED_TRACE("fetched");
      ReadBack(id);
    }
    ASSERT_TRUE(catalog_->CheckIntegrity().ok()) << catalog_->CheckIntegrity();
  }

  void ReadBack(const FileId& id) {
    auto content = std::find_if(contents_.begin(), contents_.end(),
                                [&](const Content& one) { return one.id == id; });
    ASSERT_NE(content, contents_.end());
    std::string bytes;
    while (bytes.size() < content->bytes.size()) {
      auto part = store_->Read(id, bytes.size(), kReadChunkSizeMax);
      ASSERT_TRUE(part.ok()) << part.status();
      ASSERT_FALSE(part->empty());
      bytes += *part;
    }
    ASSERT_TRUE(bytes == content->bytes);
  }

  Random random_;
  FaultyFileSystem fs_;
  DiskFiles disk_files_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<BlockStore> blocks_;
  std::unique_ptr<FileStore> store_;
  std::vector<Content> contents_;
  std::map<std::string, States> names_;
  std::set<FileId> fetched_;  // Received whole, and not published.
};

TEST(FileStore, KeepsWhatItAcknowledgedWhenPowerIsLostUnderBothStores) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    ASSERT_NO_FATAL_FAILURE(LostPowerTest(seed).Run());
  }
}

}  // namespace
}  // namespace panal
