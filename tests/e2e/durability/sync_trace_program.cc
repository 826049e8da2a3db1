// Does what a peer acknowledges, one step after the other, and writes a line to stdout after each:
// the program that sync_trace_test.py watches. Usage: sync_trace_program FOLDER (empty, existing).
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "server/data/file_store/file_store.h"

namespace panal {
namespace {

// One system call a line, so that the trace shows where in time it was written.
void Acknowledge(absl::string_view what) {
  std::string line = absl::StrCat("ack ", what, "\n");
  if (write(STDOUT_FILENO, line.data(), line.size()) < 0) _exit(2);
}

absl::Status AddAll(FileStore& files, const std::string& root) {
  PANAL_RETURN_IF_ERROR(files.Put("small", "inline content", {}).status());
  Acknowledge("put_inline");
  PANAL_RETURN_IF_ERROR(files.Put("large", Random(1).Bytes(kBlockSizeMin + 1), {}).status());
  Acknowledge("put_stored");

  std::filesystem::create_directories(root + "/folder");
  std::ofstream(root + "/folder/a") << "a";
  std::ofstream(root + "/folder/b") << Random(2).Bytes(100'000);
  PANAL_RETURN_IF_ERROR(files.AddPath(root + "/folder", "", {}, false, {root}, nullptr).status());
  Acknowledge("add_folder");

  std::unique_ptr<FileStore::Upload> upload = files.NewUpload();
  std::string content = Random(3).Bytes(50'000);
  PANAL_RETURN_IF_ERROR(upload->BeginFile("uploaded", content.size(), false, {}, false));
  PANAL_RETURN_IF_ERROR(upload->Append(0, content));
  PANAL_RETURN_IF_ERROR(upload->FinishFile().status());
  Acknowledge("upload_stored");
  return absl::OkStatus();
}

absl::Status ReceiveAll(FileStore& files) {
  std::string content = Random(4).Bytes(2 * kBlockSizeMin);
  Manifest manifest = ManifestOf(FileType::kFile, content);
  PANAL_RETURN_IF_ERROR(files.BeginReceive(manifest).status());
  Acknowledge("begin_receive");
  for (uint32_t i = 0; i < 2; ++i) {
    absl::string_view block = absl::string_view(content).substr(i * kBlockSizeMin, kBlockSizeMin);
    PANAL_RETURN_IF_ERROR(files.ReceiveBlock(manifest.Id(), i, block));
    PANAL_RETURN_IF_ERROR(files.CheckpointReceive(manifest.Id()));
    Acknowledge(i == 0 ? "checkpoint_stored" : "complete_stored");
  }
  PANAL_RETURN_IF_ERROR(files.PublishFetched(manifest.Id(), "fetched", {}).status());
  Acknowledge("publish_fetched");
  PANAL_RETURN_IF_ERROR(files.Remove(manifest.Id()).status());
  Acknowledge("remove");
  return absl::OkStatus();
}

absl::Status Run(const std::string& folder) {
  PANAL_ASSIGN_OR_RETURN(auto catalog, Catalog::Open({.path = folder + "/catalog.db"}));
  PANAL_ASSIGN_OR_RETURN(auto blocks,
                         BlockStore::Open({.dir = folder + "/blocks"}, RealFileSystem()));
  std::unique_ptr<FileStore> files = FileStore::Create(*catalog, *blocks);
  Acknowledge("opened");
  PANAL_RETURN_IF_ERROR(AddAll(*files, folder + "/root"));
  return ReceiveAll(*files);
}

}  // namespace
}  // namespace panal

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: sync_trace_program FOLDER\n");
    return 2;
  }
  absl::Status status = panal::Run(std::filesystem::canonical(argv[1]));
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
