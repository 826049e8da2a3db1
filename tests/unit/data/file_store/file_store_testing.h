// What the tests of the file store share: a store and a root in a folder of their own.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/base/status.h"
#include "server/data/file_store/file_store.h"

namespace panal {

// Opens files as the real one does, and runs a hook after each read and counts what is done.
class HookedSourceFiles final : public SourceFiles {
 public:
  std::function<void()> after_read;
  int64_t calls = 0;

  absl::StatusOr<std::string> Resolve(absl::string_view path) override {
    ++calls;
    return RealSourceFiles().Resolve(path);
  }

  absl::StatusOr<std::unique_ptr<SourceFile>> Open(absl::string_view root,
                                                   absl::string_view relative) override {
    ++calls;
    PANAL_ASSIGN_OR_RETURN(auto file, RealSourceFiles().Open(root, relative));
    return std::make_unique<File>(*this, std::move(file));
  }

  int64_t NowNs() override { return RealSourceFiles().NowNs(); }

 private:
  class File final : public SourceFile {
   public:
    File(HookedSourceFiles& owner, std::unique_ptr<SourceFile> file)
        : owner_(owner), file_(std::move(file)) {}

    absl::StatusOr<SourceStat> Stat() override {
      ++owner_.calls;
      return file_->Stat();
    }

    absl::StatusOr<std::string> ReadAt(uint64_t offset, size_t size) override {
      ++owner_.calls;
      auto bytes = file_->ReadAt(offset, size);
      if (owner_.after_read) owner_.after_read();
      return bytes;
    }

    absl::StatusOr<std::vector<SourceEntry>> List() override {
      ++owner_.calls;
      auto entries = file_->List();
      if (owner_.after_read) owner_.after_read();
      return entries;
    }

    absl::StatusOr<std::unique_ptr<SourceFile>> OpenEntry(absl::string_view name) override {
      ++owner_.calls;
      PANAL_ASSIGN_OR_RETURN(auto file, file_->OpenEntry(name));
      return std::make_unique<File>(owner_, std::move(file));
    }

   private:
    HookedSourceFiles& owner_;
    const std::unique_ptr<SourceFile> file_;
  };
};

class FileStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    // In memory where that is possible: a sync costs milliseconds on a disk.
    folder_ = std::filesystem::is_directory("/dev/shm") ? "/dev/shm/panal_files_XXXXXX"
                                                        : "/tmp/panal_files_XXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    root_ = folder_ + "/root";
    std::filesystem::create_directory(root_);
    OpenAll();
  }

  void TearDown() override {
    store_.reset();
    blocks_.reset();
    catalog_.reset();
    std::filesystem::remove_all(folder_);
  }

  // Opens the stores, again after CloseAll: what a restart does.
  void OpenAll() {
    auto catalog = Catalog::Open({.path = folder_ + "/catalog.db"});
    ASSERT_TRUE(catalog.ok()) << catalog.status();
    catalog_ = *std::move(catalog);
    auto blocks = BlockStore::Open({.dir = folder_ + "/blocks"}, RealFileSystem());
    ASSERT_TRUE(blocks.ok()) << blocks.status();
    blocks_ = *std::move(blocks);
    store_ = FileStore::Create(*catalog_, *blocks_, source_);
    absl::StatusOr<int64_t> adopted = store_->AdoptContents();
    ASSERT_TRUE(adopted.ok()) << adopted.status();
    adopted_ = *adopted;
  }

  void CloseAll() {
    store_.reset();
    blocks_.reset();
    catalog_.reset();
  }

  std::string Path(const std::string& name) const { return root_ + "/" + name; }

  void Write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    std::ofstream(Path(name), std::ios::binary) << content;
  }

  absl::StatusOr<AddedFile> Add(const std::string& path, bool in_place = false,
                                const Attributes& attributes = {}, const std::string& name = "") {
    return store_->AddPath(path, name, attributes, in_place, {root_}, nullptr);
  }

  std::string ReadAll(const FileId& id) {
    std::string bytes;
    while (true) {
      absl::StatusOr<std::string> part = store_->Read(id, bytes.size(), kReadChunkSizeMax);
      EXPECT_TRUE(part.ok()) << part.status();
      if (!part.ok() || part->empty()) return bytes;
      bytes += *part;
    }
  }

  // Every published name, entries of directories too.
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    absl::StatusOr<std::vector<PublishedFile>> files = catalog_->ListPublished("", 1000, true);
    EXPECT_TRUE(files.ok()) << files.status();
    for (const PublishedFile& file : *files) names.push_back(file.name);
    return names;
  }

  HookedSourceFiles source_;
  int64_t adopted_ = 0;  // Contents that OpenAll took in.
  std::string folder_;
  std::string root_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<BlockStore> blocks_;
  std::unique_ptr<FileStore> store_;
};

inline std::string RandomBytes(size_t size, uint64_t seed = 1) { return Random(seed).Bytes(size); }

}  // namespace panal
