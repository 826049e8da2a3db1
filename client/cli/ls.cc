// panal ls: what the peer publishes, or the entries of a directory it holds.
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/cli/verb.h"
#include "common/base/units.h"

namespace panal::cli {
namespace {

constexpr int kPageSize = 1000;

// As SizeOf; nothing where that is not known, which a peer knows of what it publishes.
std::optional<int64_t> SizeOfEntry(const v1::DirectoryEntry& entry) {
  if (entry.kind() != "directory") return entry.size_bytes();
  if (entry.has_total_bytes()) return entry.total_bytes();
  return std::nullopt;
}

Json FileJson(const v1::FileInfo& file) {
  Json attributes = Json::object();
  for (const auto& [key, value] : file.attributes()) attributes[key] = value;
  return {{"id", file.id()},      {"name", file.name()},       {"kind", file.kind()},
          {"size", SizeOf(file)}, {"storage", file.storage()}, {"attributes", attributes}};
}

int ListFiles(const Context& context, Client& client, bool recursive) {
  v1::ListFilesRequest request;
  request.set_page_size(kPageSize);
  request.set_recursive(recursive);
  Table table({"ID", "KIND", "SIZE", "NAME"});
  do {
    auto page = client.ListFiles(request);
    if (!page.ok()) return Fail(page.status());
    for (const v1::FileInfo& file : page->files()) {
      if (context.json()) {
        PrintJson(FileJson(file));
        continue;
      }
      table.Add({file.id(), file.kind(), FormatSize(SizeOf(file)), file.name()});
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  if (!context.json()) table.Print();
  return kExitOk;
}

int ListDirectory(const Context& context, Client& client, const std::string& id) {
  v1::ListDirectoryRequest request;
  request.set_id(id);
  request.set_page_size(kPageSize);
  Table table({"ID", "KIND", "SIZE", "NAME"});
  do {
    auto page = client.ListDirectory(request);
    if (!page.ok()) return Fail(page.status());
    for (const v1::DirectoryEntry& entry : page->entries()) {
      const std::optional<int64_t> size = SizeOfEntry(entry);
      if (context.json()) {
        PrintJson({{"id", entry.id()},
                   {"name", entry.name()},
                   {"kind", entry.kind()},
                   {"size", size ? Json(*size) : Json()},
                   {"executable", entry.executable()}});
        continue;
      }
      table.Add({entry.id(), entry.kind(), size ? FormatSize(*size) : "-", entry.name()});
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  if (!context.json()) table.Print();
  return kExitOk;
}

}  // namespace

void AddLs(CLI::App& app, Context& context, int& exit_code) {
  auto id = std::make_shared<std::string>();
  auto recursive = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("ls", "what the peer publishes, or a directory's entries");
  verb->add_option("ID", *id, "a directory the peer holds");
  verb->add_flag("-r,--recursive", *recursive, "the files in published directories too");
  verb->callback([&, id, recursive] {
    auto client = context.Connect();
    if (!client.ok()) {
      exit_code = Fail(client.status());
    } else if (id->empty()) {
      exit_code = ListFiles(context, **client, *recursive);
    } else {
      exit_code = ListDirectory(context, **client, *id);
    }
  });
}

}  // namespace panal::cli
