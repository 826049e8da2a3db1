// panal add: shares files and folders, by streaming them to the peer, or in place.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "client/cli/upload.h"
#include "client/cli/verb.h"
#include "common/base/status.h"
#include "common/base/units.h"
#include "common/base/utf8.h"

namespace panal::cli {
namespace {

// What was left out of a folder, one a line, before only the number of the rest is said. Guess:
// half a screen.
constexpr size_t kSkippedShownMax = 10;

struct Arguments {
  std::vector<std::string> paths;
  std::vector<std::string> attributes;
  std::string name;
  bool in_place = false;
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Added {
  std::string id;
  std::string name;
  int64_t size = 0;
  int64_t files = 0;
  std::vector<std::string> skipped;
};

template <typename Message>
void SetAttributes(const Pairs& pairs, Message& message) {
  for (const auto& [key, value] : pairs) (*message.mutable_attributes())[key] = value;
}

absl::StatusOr<Added> AddInPlace(Client& client, const std::string& path, const std::string& name,
                                 const Pairs& attributes) {
  std::error_code error;
  v1::AddPathRequest request;
  request.set_path(std::filesystem::absolute(path, error).lexically_normal().string());
  request.set_name(name);
  request.set_in_place(true);
  SetAttributes(attributes, request);
  PANAL_ASSIGN_OR_RETURN(v1::AddPathResponse response, client.AddPath(request));
  return Added{response.id(),
               response.name(),
               response.size_bytes(),
               response.files(),
               {response.skipped().begin(), response.skipped().end()}};
}

absl::StatusOr<Added> UploadOne(Client& client, const std::string& path, const std::string& name,
                                const Pairs& attributes) {
  PANAL_ASSIGN_OR_RETURN(UploadItem item, FileItem(path, name));
  Progress progress;
  item.bytes = [&progress, inner = std::move(item.bytes), sent = int64_t{0},
                size = item.size_bytes]() mutable {
    absl::StatusOr<std::string> bytes = inner();
    if (bytes.ok()) progress.Show(sent += static_cast<int64_t>(bytes->size()), size, 1, "");
    return bytes;
  };
  v1::UploadStart start;
  SetAttributes(attributes, start);
  absl::StatusOr<v1::UploadFileResponse> response = client.UploadFile(item, start);
  progress.Done();
  if (!response.ok()) return response.status();
  return Added{response->id(), response->name(), response->size_bytes(), response->files(), {}};
}

absl::StatusOr<Added> UploadFolder(Client& client, const std::string& path, const std::string& name,
                                   const Pairs& attributes) {
  PANAL_ASSIGN_OR_RETURN(FolderScan scan, ScanFolder(path));
  v1::UploadFinishDirectory finish;
  finish.set_name(name);
  SetAttributes(attributes, finish);
  size_t next = 0;
  Progress progress;
  int64_t sent = 0;
  auto response = client.UploadDirectory(finish, [&](UploadItem* item) -> absl::StatusOr<bool> {
    if (next == scan.entries.size()) return false;
    const FolderScan::Entry& entry = scan.entries[next++];
    if (entry.empty_folder) {
      item->name = entry.name;
      item->is_directory = true;
      return true;
    }
    PANAL_ASSIGN_OR_RETURN(*item, FileItem(entry.path, entry.name));
    sent += item->size_bytes;
    progress.Show(sent, 0, 1, absl::StrCat(next, "/", scan.entries.size(), " files"));
    return true;
  });
  progress.Done();
  if (!response.ok()) return response.status();
  return Added{response->id(), response->name(), response->size_bytes(), response->files(),
               std::move(scan.skipped)};
}

absl::StatusOr<Added> AddOne(Client& client, const Arguments& arguments, const std::string& path,
                             const Pairs& attributes) {
  std::error_code error;
  std::filesystem::path whole = std::filesystem::absolute(path, error).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  std::string name =
      arguments.name.empty() ? ToValidUtf8(whole.filename().string()) : arguments.name;
  if (arguments.in_place) return AddInPlace(client, path, name, attributes);
  bool folder = std::filesystem::is_directory(path, error);
  return folder ? UploadFolder(client, path, name, attributes)
                : UploadOne(client, path, name, attributes);
}

void Print(const Context& context, const Added& added) {
  if (context.json()) {
    PrintJson({{"id", added.id},
               {"name", added.name},
               {"size", added.size},
               {"files", added.files},
               {"skipped", added.skipped}});
    return;
  }
  std::string files =
      added.files == 1 ? "" : absl::StrCat("  (", Counted(added.files, "file"), ")");
  WriteOut(absl::StrCat(added.id, "  ", FormatSize(added.size), "  ", Printable(added.name), files,
                        "\n"));
  for (size_t i = 0; i < std::min(added.skipped.size(), kSkippedShownMax); ++i) {
    std::fprintf(stderr, "panal: skipped %s\n", Printable(added.skipped[i]).c_str());
  }
  if (added.skipped.size() > kSkippedShownMax) {
    std::fprintf(stderr, "panal: skipped %zu more; -o json lists them all\n",
                 added.skipped.size() - kSkippedShownMax);
  }
  Hint(absl::StrCat("next, on any peer: panal get ", added.id));
}

int Add(const Context& context, const Arguments& arguments) {
  auto attributes = ParseAttributes(arguments.attributes);
  if (!attributes.ok()) return Fail(attributes.status());
  if (!arguments.name.empty() && arguments.paths.size() != 1) {
    return Fail(Error(ErrorReason::kArgumentInvalid, "--name needs exactly one PATH"));
  }
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  int exit_code = kExitOk;
  for (const std::string& path : arguments.paths) {
    auto added = AddOne(**client, arguments, path, *attributes);
    if (added.ok()) {
      Print(context, *added);
    } else {
      exit_code = Fail(added.status());
    }
  }
  return exit_code;
}

}  // namespace

void AddAdd(CLI::App& app, Context& context, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("add", "share files and folders");
  verb->add_option("PATH", arguments->paths, "files and folders")->required();
  verb->add_option("--attr", arguments->attributes, "KEY=VALUE to publish with it; may be repeated")
      ->allow_extra_args(false);
  verb->add_option("--name", arguments->name, "name to publish it under (default: the last part)");
  verb->add_flag("--in-place", arguments->in_place,
                 "share where it lies, copy nothing; the peer must be on this machine. Promises "
                 "integrity, not retention");
  verb->callback([&, arguments] { exit_code = Add(context, *arguments); });
}

}  // namespace panal::cli
