// Reads files and folders of this machine for an upload.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/proxy/client.h"

namespace panal::cli {

// Folders nested deeper are refused, as the peer does.
inline constexpr int kUploadDepthMax = 64;

// A file as an item to upload; its bytes are read when asked for. The size is fixed here: a file
// that changes meanwhile ends the upload with FILE_CHANGED. Errors: PATH_NOT_FOUND,
// FILE_UNREADABLE.
absl::StatusOr<UploadItem> FileItem(const std::string& path, const std::string& name);

// What lies below a folder, in bytewise order of the relative paths.
struct FolderScan {
  struct Entry {
    std::string path;  // To read from.
    std::string name;  // Relative to the folder.
    bool empty_folder = false;
  };

  std::vector<Entry> entries;
  std::vector<std::string> skipped;  // Links to elsewhere, sockets, devices; with the reason.
};

// Links are followed where they point to a regular file inside the folder. Errors: PATH_NOT_FOUND,
// FILE_UNREADABLE.
absl::StatusOr<FolderScan> ScanFolder(const std::string& path);

}  // namespace panal::cli
