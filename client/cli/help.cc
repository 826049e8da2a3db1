// panal help: the whole help, or that of one verb, as --help prints it.
#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "client/cli/verb.h"
#include "common/base/status.h"

namespace panal::cli {
namespace {

int Help(const CLI::App& app, const std::string& name) {
  // Not app.help(): that is the help of the verb that was given, which is `help`.
  if (name.empty()) {
    WriteOut(app.get_formatter()->make_help(&app, app.get_name(), CLI::AppFormatMode::Normal));
    return kExitOk;
  }
  for (const CLI::App* verb : app.get_subcommands({})) {
    if (verb->get_name() != name) continue;
    WriteOut(verb->help(app.get_name()));
    return kExitOk;
  }
  return Fail(Error(ErrorReason::kArgumentInvalid,
                    absl::StrCat("there is no verb `", name, "`",
                                 Suggestion(name, VerbNames(app), "; `panal help` lists them"))));
}

}  // namespace

void AddHelp(CLI::App& app, Context&, int& exit_code) {
  auto name = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("help", "this help, or that of one verb");
  verb->add_option("VERB", *name, "a verb");
  verb->callback([&app, &exit_code, name] { exit_code = Help(app, *name); });
}

}  // namespace panal::cli
