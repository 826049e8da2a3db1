// What the tests of the block store share.
#pragma once

#include <memory>
#include <string>

#include "common/base/check.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "server/data/block_store/block_store.h"
#include "tests/support/faulty_file_system.h"

namespace panal {

inline constexpr char kStoreDir[] = "/data/blocks";

inline std::unique_ptr<BlockStore> OpenStore(FileSystem& fs, BlockStoreOptions options = {}) {
  options.dir = kStoreDir;
  absl::StatusOr<std::unique_ptr<BlockStore>> store = BlockStore::Open(options, fs);
  PANAL_CHECK(store.ok());
  return *std::move(store);
}

// A content and what it is cut into.
struct Content {
  explicit Content(std::string content)
      : bytes(std::move(content)),
        manifest(ManifestOf(FileType::kFile, bytes)),
        id(manifest.Id()) {}

  // `size` random bytes.
  static Content Of(size_t size, uint64_t seed = 1) { return Content(Random(seed).Bytes(size)); }

  std::string Block(uint32_t index) const {
    return bytes.substr(size_t{index} * manifest.block_size_bytes, manifest.BlockSize(index));
  }

  std::string bytes;
  Manifest manifest;
  FileId id;
};

inline std::string MapPath(const FileId& id) {
  return std::string(kStoreDir) + "/" + id.ToText().substr(0, 2) + "/" + id.ToText() + ".map";
}

// Where the data of a content lies. Empty where there is none.
inline std::string DataPath(FileSystem& fs, const FileId& id) {
  std::string folder = std::string(kStoreDir) + "/" + id.ToText().substr(0, 2);
  absl::StatusOr<std::vector<std::string>> names = fs.ListDir(folder);
  PANAL_CHECK(names.ok());
  for (const std::string& name : *names) {
    if (name.substr(0, 52) == id.ToText() && name.substr(52) != ".map") return folder + "/" + name;
  }
  return "";
}

}  // namespace panal
