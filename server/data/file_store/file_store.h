// LAYER 3: files as this peer holds them, whatever keeps their bytes: the catalog (inline), the
// block store, or the place where they lie. Adding, uploading, reading, receiving and removing.
//
// Specification:
// - F1. An id that a method returns is durable: manifest, bytes, published name, all of it.
// - F2. A file that changes while it is read is refused with FILE_CHANGED; nothing of it is
//   published. Rationale: size, mtime and inode are compared before and after, so an id never names
//   mixed bytes.
// - F3. Sharing in place promises integrity, not retention: size and mtime are compared whenever it
//   is served; a changed file is hashed again block by block, and blocks that differ are refused.
// - F4. Names from a file system that are not UTF-8 are published percent-encoded (ToValidUtf8);
//   listings keep the bytes.
// - F5. Symbolic links are followed when they point to a regular file within the same root, else
//   skipped and reported; sockets, devices and pipes are skipped and reported.
//
// Thread-safe. Blocking disk IO: called from workers only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/model/listing.h"
#include "common/model/manifest.h"
#include "server/data/block_store/block_store.h"
#include "server/data/catalog/catalog.h"
#include "server/data/file_store/source_files.h"

namespace panal {

inline constexpr size_t kPutContentSizeMax = 1024 * 1024;  // Bytes of PutFile's content.
inline constexpr size_t kReadChunkSizeMax = 1024 * 1024;   // Bytes of one read.
inline constexpr int kDirectoryDepthMax = 64;              // Nested folders of one directory.
inline constexpr size_t kSkippedReportMax = 100;           // Skipped entries named in an answer.

// What was added.
struct AddedFile {
  FileId id;
  FileType type = FileType::kFile;
  std::string name;
  uint64_t size_bytes = 0;           // Content of the file, or of every file below the directory.
  uint64_t files = 0;                // Files, directories not counted. 1 for a file.
  std::vector<std::string> skipped;  // At most kSkippedReportMax, each with its reason.
};

// What is known of a file.
struct FileDetails {
  FileId id;
  FileType type = FileType::kFile;
  std::string name;  // First published name, or empty.
  Manifest manifest;
  Attributes attributes;
  StorageKind storage = StorageKind::kStored;
  std::string path;  // kInPlace.
  uint64_t held_bytes = 0;
  uint64_t total_bytes = 0;  // Directory: sum below it.
  bool complete = false;
};

class FileStore {
 public:
  // `catalog`, `blocks` and `source` must outlive the store.
  static std::unique_ptr<FileStore> Create(Catalog& catalog, BlockStore& blocks,
                                           SourceFiles& source = RealSourceFiles());
  virtual ~FileStore() = default;

  // --- Adding ------------------------------------------------------------------------------------
  // Errors: CONTENT_TOO_LARGE, FILE_NAME_INVALID, ATTRIBUTE_INVALID, STORAGE_FULL.
  virtual absl::StatusOr<AddedFile> Put(absl::string_view name, absl::string_view content,
                                        const Attributes& attributes) = 0;
  // Adds a file or a whole folder. `roots`: resolved folders it must lie below. `name`: empty for
  // the last component of the path. `attributes` go to everything below a folder too. `cancelled`
  // is asked now and then. A file within a folder that cannot be read fails the whole add, since an
  // id that leaves something out would name another folder; what vanishes meanwhile is skipped and
  // reported. What the name was published for before is replaced and freed. Errors:
  // PATH_OUTSIDE_ROOTS, PATH_NOT_FOUND, FILE_UNREADABLE, FILE_CHANGED, FILE_NAME_INVALID,
  // ATTRIBUTE_INVALID, STORAGE_FULL, CANCELLED.
  virtual absl::StatusOr<AddedFile> AddPath(absl::string_view path, absl::string_view name,
                                            const Attributes& attributes, bool in_place,
                                            const std::vector<std::string>& roots,
                                            const std::function<bool()>& cancelled) = 0;

  // One upload from a program: a file, or the files of a directory one after the other. Not
  // thread-safe.
  class Upload {
   public:
    virtual ~Upload() = default;  // Drops what was not finished.
    // `name`: published name, or with `directory_entry` the path relative to the directory.
    virtual absl::Status BeginFile(absl::string_view name, uint64_t size_bytes, bool executable,
                                   const Attributes& attributes, bool directory_entry) = 0;
    virtual absl::Status AddEmptyDirectory(absl::string_view name) = 0;
    // Errors: CHUNK_OUT_OF_ORDER, UPLOAD_INCOMPLETE (more than announced), STORAGE_FULL.
    virtual absl::Status Append(uint64_t offset, absl::string_view bytes) = 0;
    // A file that is no directory entry is published now, durably.
    virtual absl::StatusOr<AddedFile> FinishFile() = 0;
    // Publishes the entries sent as a directory, durably.
    virtual absl::StatusOr<AddedFile> FinishDirectory(absl::string_view name,
                                                      const Attributes& attributes) = 0;
  };

  virtual std::unique_ptr<Upload> NewUpload() = 0;

  // --- Reading -----------------------------------------------------------------------------------
  // Resolves a full id, which need not be held here, or a unique prefix of at least 4 characters.
  // Errors: FILE_ID_INVALID, FILE_NOT_FOUND, FILE_AMBIGUOUS.
  virtual absl::StatusOr<FileId> Resolve(absl::string_view text) = 0;
  virtual absl::StatusOr<FileDetails> Find(const FileId& id) = 0;  // FILE_NOT_FOUND
  // At most kReadChunkSizeMax bytes at `offset`, verified. Errors: FILE_NOT_FOUND, FILE_INCOMPLETE,
  // RANGE_INVALID, BLOCK_CORRUPT, FILE_CHANGED.
  virtual absl::StatusOr<std::string> Read(const FileId& id, uint64_t offset, size_t length) = 0;
  // Entries of a directory. Errors: FILE_NOT_FOUND, FILE_INCOMPLETE, LISTING_INVALID.
  virtual absl::StatusOr<std::vector<ListingEntry>> ReadListing(const FileId& id) = 0;

  // --- Serving and receiving blocks --------------------------------------------------------------
  struct Held {
    Manifest manifest;
    std::vector<bool> held;      // Empty: all blocks.
    std::string inline_content;  // Where has_inline_content.
    bool has_inline_content = false;
  };

  virtual absl::StatusOr<Held> FindHeld(const FileId& id) = 0;
  // One whole block, for another peer. Errors: FILE_NOT_FOUND, FILE_INCOMPLETE, BLOCK_CORRUPT,
  // FILE_CHANGED. A corrupt stored block is forgotten, so that it is fetched again.
  virtual absl::StatusOr<std::string> ReadBlock(const FileId& id, uint32_t index) = 0;

  // Begins or resumes receiving a content. Returns what is held already.
  virtual absl::StatusOr<Held> BeginReceive(const Manifest& manifest) = 0;
  // A small content at once, verified and durable. Errors: BLOCK_CORRUPT, STORAGE_FULL.
  virtual absl::Status ReceiveInline(const Manifest& manifest, absl::string_view content) = 0;
  // Verifies and writes one block. Errors: BLOCK_CORRUPT, STORAGE_FULL, FILE_NOT_FOUND.
  virtual absl::Status ReceiveBlock(const FileId& id, uint32_t index, absl::string_view bytes) = 0;
  // Makes what was received durable (called every few seconds and at the end); marks the content
  // complete when every block is held.
  virtual absl::Status CheckpointReceive(const FileId& id) = 0;
  // Publishes fetched contents (a file, or a directory and everything below it, whose contents are
  // all complete) under `name`. Durable. What can never be published (LISTING_INVALID,
  // CONTENT_TOO_LARGE) is freed.
  virtual absl::StatusOr<AddedFile> PublishFetched(const FileId& id, absl::string_view name,
                                                   const Attributes& attributes) = 0;

  // --- Removing ----------------------------------------------------------------------------------
  struct Removed {
    FileId id;
    uint64_t files = 0;
    int64_t freed_bytes = 0;
  };

  // Removes what was added or fetched under `id`. What is held unpublished is freed too, with what
  // lies below it and nothing else that is held unpublished needs; the cost is then linear in all
  // of that. Error: FILE_NOT_FOUND.
  virtual absl::StatusOr<Removed> Remove(const FileId& id) = 0;

  // --- Held without being published --------------------------------------------------------------
  // Makes every content of the block store known to a catalog that was made new (the old one was
  // lost): it is read and served by its id, and stays until it is published (added or fetched
  // again) or removed. Nothing where the catalog is not new. Call at start: until every content
  // could be read, DropUnreferenced frees none that the catalog does not know. Returns how many
  // were taken in. Cost: one small read a content.
  virtual absl::StatusOr<int64_t> AdoptContents() = 0;
  // Frees contents that nothing publishes and nothing keeps: leftovers of a crash or of a cancelled
  // add. Kept: what a fetch received and did not publish yet, complete or not, and what
  // AdoptContents took in. Returns the bytes freed. Cost: linear in what is held.
  virtual absl::StatusOr<int64_t> DropUnreferenced() = 0;
};

}  // namespace panal
