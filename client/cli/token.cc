// panal token: makes tokens for the API of a peer.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/cli/verb.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/identity/api_token.h"

namespace panal::cli {
namespace {

struct Arguments {
  std::string action;
  std::string role;
  std::string name;
};

int NewToken(const Context& context, const Arguments& arguments) {
  const std::optional<ApiRole> role = ParseApiRole(arguments.role);
  PANAL_CHECK(role.has_value());  // The parser checked it.
  if (!arguments.name.empty() && !IsApiTokenName(arguments.name)) {
    return Fail(Error(ErrorReason::kArgumentInvalid,
                      absl::StrCat("--name ", arguments.name, " is not 1 to ", kApiTokenNameSizeMax,
                                   " of a-z, A-Z, 0-9 and -._@")));
  }
  const ApiToken token = MakeApiToken(*role, arguments.name);
  if (context.json()) {
    PrintJson({{"role", arguments.role}, {"token", token.token}, {"name", token.name}});
  } else {
    WriteOut(PrintApiToken(token) + "\n");
    Hint("next: add the line to the file of panald --api-token-file, and start panald again");
  }
  return kExitOk;
}

}  // namespace

void AddToken(CLI::App& app, Context& context, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("token", "make a token for programs that call a peer's API");
  verb->add_option("ACTION", arguments->action, "`new`: print a line for the peer's token file")
      ->required()
      ->check(CLI::IsMember({"new"}));
  verb->add_option("--role", arguments->role, "what its holder may do")
      ->required()
      ->check(CLI::IsMember({"read", "write", "admin"}));
  verb->add_option("--name", arguments->name, "whose it is, for people");
  verb->callback([&, arguments] { exit_code = NewToken(context, *arguments); });
}

}  // namespace panal::cli
