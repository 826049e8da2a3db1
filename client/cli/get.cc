// panal get: fetches a file or a directory onto the peer and writes it to this machine.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/cli/verb.h"
#include "common/base/status.h"
#include "common/base/units.h"
#include "common/model/listing.h"

namespace panal::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kPageSize = 1000;
constexpr int kDepthMax = 64;

struct Arguments {
  std::string id;
  std::string path;
  std::string timeout = "10s";
  bool force = false;
};

absl::Status WriteAll(int fd, const std::string& path, const std::string& bytes) {
  size_t written = 0;
  while (written < bytes.size()) {
    ssize_t size = write(fd, bytes.data() + written, bytes.size() - written);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return WriteError(path, errno);
    written += static_cast<size_t>(size);
  }
  return absl::OkStatus();
}

// Writes a content beside its place and renames it there, so that a broken transfer leaves no half
// file.
absl::Status WriteFile(Client& client, const std::string& id, const std::string& path,
                       bool executable) {
  std::string partial = path + ".panal-partial";
  int fd = open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                executable ? 0777 : 0666);
  if (fd < 0) return WriteError(path, errno);
  v1::ReadFileRequest request;
  request.set_id(id);
  absl::Status status =
      client.ReadFile(request, [&](const std::string& bytes) { return WriteAll(fd, path, bytes); });
  if (close(fd) != 0 && status.ok()) status = WriteError(path, errno);
  if (status.ok() && rename(partial.c_str(), path.c_str()) != 0) status = WriteError(path, errno);
  if (!status.ok()) unlink(partial.c_str());
  return status;
}

absl::Status WriteTree(Client& client, const std::string& id, const std::string& path, int depth) {
  if (depth > kDepthMax) {
    return Error(ErrorReason::kListingInvalid, absl::StrCat(path, ": nested too deeply"));
  }
  if (mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) return WriteError(path, errno);
  v1::ListDirectoryRequest request;
  request.set_id(id);
  request.set_page_size(kPageSize);
  do {
    PANAL_ASSIGN_OR_RETURN(v1::ListDirectoryResponse page, client.ListDirectory(request));
    for (const v1::DirectoryEntry& entry : page.entries()) {
      if (!IsValidEntryName(entry.name())) {
        return Error(ErrorReason::kListingInvalid,
                     absl::StrCat("entry `", entry.name(), "` is no file name"));
      }
      std::string target = absl::StrCat(path, "/", entry.name());
      PANAL_RETURN_IF_ERROR(entry.kind() == "directory"
                                ? WriteTree(client, entry.id(), target, depth + 1)
                                : WriteFile(client, entry.id(), target, entry.executable()));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return absl::OkStatus();
}

// Where the content goes: -O, else the last part of its published name, here.
std::string TargetOf(const Arguments& arguments, const v1::FetchFileResponse& fetched,
                     const std::string& id) {
  std::string base = fetched.name().substr(fetched.name().rfind('/') + 1);
  if (!IsValidEntryName(base)) base = id;
  if (arguments.path.empty()) return base;
  std::error_code error;
  if (absl::EndsWith(arguments.path, "/")) {
    fs::create_directories(arguments.path, error);
    return arguments.path + base;
  }
  return arguments.path;
}

absl::Status Write(Client& client, const Arguments& arguments, const std::string& id,
                   const v1::FetchFileResponse& fetched, const std::string& target) {
  std::error_code error;
  if (fs::exists(target, error) && !arguments.force) {
    return Error(ErrorReason::kPathUnwritable,
                 absl::StrCat(target, " exists; choose another place with -O, or --force"),
                 {{"path", target}});
  }
  if (fetched.kind() == "directory") return WriteTree(client, id, target, 0);
  return WriteFile(client, id, target, /*executable=*/false);
}

int Get(const Context& context, const Arguments& arguments) {
  auto timeout = ParseDuration(arguments.timeout);
  if (!timeout.ok()) return Fail(timeout.status());
  if (arguments.path == "-") {
    return Fail(Error(ErrorReason::kArgumentInvalid,
                      absl::StrCat("-O -: `panal cat ", arguments.id,
                                   "` writes to stdout; -O ./- is a file of that name")));
  }
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  absl::Time begun = absl::Now();
  auto id = ResolveFile(**client, arguments.id);
  if (!id.ok()) return Fail(id.status());
  auto fetched = Fetch(**client, *id, arguments.timeout);
  if (!fetched.ok()) return Fail(fetched.status());
  std::string target = TargetOf(arguments, *fetched, *id);
  absl::Status written = Write(**client, arguments, *id, *fetched, target);
  if (!written.ok()) return Fail(written);
  double seconds = absl::ToDoubleSeconds(absl::Now() - begun);
  if (context.json()) {
    PrintJson({{"id", *id},
               {"bytes", fetched->total_bytes()},
               {"sources", fetched->sources()},
               {"seconds", seconds},
               {"received", fetched->received_bytes()},
               {"path", target},
               {"files", fetched->files_done()}});
  } else {
    WriteOut(absl::StrFormat("%s  %s  from %s in %.1f s\n", Printable(target),
                             FormatSize(fetched->total_bytes()),
                             Counted(fetched->sources(), "peer"), seconds));
    Hint(absl::StrCat("next: panal rm ", *id,
                      " frees the bytes; until then this peer serves them too"));
  }
  return kExitOk;
}

}  // namespace

void AddGet(CLI::App& app, Context& context, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("get", "fetch a file or a directory and write it here");
  verb->add_option("ID", arguments->id, "a file id or a unique prefix of one")->required();
  verb->add_option("-O", arguments->path, "where to write it; a path that ends in / is a folder")
      ->type_name("PATH");
  verb->add_option("--timeout", arguments->timeout, "time to find a source before giving up")
      ->capture_default_str();
  verb->add_flag("--force", arguments->force, "write over what is there");
  verb->callback([&, arguments] { exit_code = Get(context, *arguments); });
}

}  // namespace panal::cli
