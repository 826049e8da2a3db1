// panal rm: stops publishing files and frees their bytes.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "client/cli/verb.h"
#include "common/base/units.h"

namespace panal::cli {
namespace {

int Remove(const Context& context, const std::vector<std::string>& ids) {
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  int exit_code = kExitOk;
  for (const std::string& id : ids) {
    auto removed = (*client)->RemoveFile(id);
    if (!removed.ok()) {
      exit_code = Fail(removed.status());
      continue;
    }
    if (context.json()) {
      PrintJson(
          {{"id", removed->id()}, {"files", removed->files()}, {"freed", removed->freed_bytes()}});
    } else {
      WriteOut(absl::StrCat("removed ", removed->id(), ": ", Counted(removed->files(), "file"),
                            ", ", FormatSize(removed->freed_bytes()), " freed\n"));
      Hint("next: panal ls shows what is published still");
    }
  }
  return exit_code;
}

}  // namespace

void AddRm(CLI::App& app, Context& context, int& exit_code) {
  auto ids = std::make_shared<std::vector<std::string>>();
  CLI::App* verb = app.add_subcommand("rm", "stop publishing files and free their bytes");
  verb->add_option("ID", *ids, "file ids or prefixes of them")->required();
  verb->callback([&, ids] { exit_code = Remove(context, *ids); });
}

}  // namespace panal::cli
