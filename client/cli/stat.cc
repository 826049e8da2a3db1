// panal stat: what the peer knows of one file.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "client/cli/verb.h"
#include "common/base/units.h"

namespace panal::cli {
namespace {

// Of a directory the peer holds its list of entries as content; the files below are counted apart.
std::string HeldOf(const v1::FileInfo& file) {
  std::string held = FormatSize(file.held_bytes());
  if (file.kind() != "directory") return held;
  return absl::StrCat(held, " of ", FormatSize(file.size_bytes()), " that list its entries");
}

int Stat(const Context& context, const std::string& id) {
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  auto file = (*client)->GetFile(id);
  if (!file.ok()) return Fail(file.status());
  if (context.json()) {
    Json attributes = Json::object();
    for (const auto& [key, value] : file->attributes()) attributes[key] = value;
    PrintJson({{"id", file->id()},
               {"name", file->name()},
               {"kind", file->kind()},
               {"size", SizeOf(*file)},
               {"total_size", file->total_bytes()},
               {"content_size", file->size_bytes()},
               {"held", file->held_bytes()},
               {"storage", file->storage()},
               {"path", file->path()},
               {"blocks", file->blocks()},
               {"block_size", file->block_size_bytes()},
               {"attributes", attributes}});
    return kExitOk;
  }
  Table table({"ID", file->id()});
  table.Add({"name", file->name()});
  table.Add({"kind", file->kind()});
  table.Add({"size", absl::StrCat(FormatSize(SizeOf(*file)), " (", SizeOf(*file), ")")});
  table.Add({"held", HeldOf(*file)});
  table.Add({"storage", file->storage() + (file->path().empty() ? "" : " " + file->path())});
  table.Add({"blocks", absl::StrCat(file->blocks(), " of ", FormatSize(file->block_size_bytes()))});
  for (const auto& [key, value] : file->attributes()) table.Add({key, value});
  table.Print();
  return kExitOk;
}

}  // namespace

void AddStat(CLI::App& app, Context& context, int& exit_code) {
  auto id = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("stat", "what the peer knows of one file");
  verb->add_option("ID", *id, "a file id or a prefix of one")->required();
  verb->callback([&, id] { exit_code = Stat(context, *id); });
}

}  // namespace panal::cli
