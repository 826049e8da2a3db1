// panal invite, join and members: who may enter the mesh, and who is in.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "client/cli/members_output.h"
#include "client/cli/verb.h"
#include "common/base/units.h"

namespace panal::cli {
namespace {

int Invite(const Context& context, const v1::CreateTicketRequest& request) {
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  auto made = (*client)->CreateTicket(request);
  if (!made.ok()) return Fail(made.status());
  if (context.json()) {
    PrintJson(
        {{"ticket", made->ticket()},
         {"role", made->role()},
         {"uses", made->uses()},
         {"expires", TimeText(made->expires_s())},
         {"expires_s", made->expires_s()},
         {"contacts", std::vector<std::string>(made->contacts().begin(), made->contacts().end())}});
    return kExitOk;
  }
  WriteOut(made->ticket() + "\n");
  Hint(absl::StrCat("lets in ", Counted(made->uses(), "peer"), " until ",
                    TimeText(made->expires_s()),
                    "; whoever has the line may enter. There: panal join TICKET"));
  return kExitOk;
}

int Join(const Context& context, const std::string& ticket) {
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  auto joined = (*client)->JoinMesh(ticket);
  if (!joined.ok()) return Fail(joined.status());
  if (context.json()) {
    PrintJson({{"mesh", joined->mesh()},
               {"mesh_id", joined->mesh_id()},
               {"role", joined->role()},
               {"expires", TimeText(joined->credential_expires_s())},
               {"expires_s", joined->credential_expires_s()}});
  } else {
    WriteOut(Printable(absl::StrCat("in mesh ", joined->mesh(), " as ", joined->role(), " until ",
                                    TimeText(joined->credential_expires_s()))) +
             "\n");
  }
  return kExitOk;
}

int Members(const Context& context) {
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  auto members = (*client)->ListMembers();
  if (!members.ok()) return Fail(members.status());
  if (!context.json()) {
    PrintMembers(*members);
    return kExitOk;
  }
  for (const v1::Member& member : *members) PrintJson(MemberJson(member));
  return kExitOk;
}

}  // namespace

void AddInvite(CLI::App& app, Context& context, int& exit_code) {
  auto request = std::make_shared<v1::CreateTicketRequest>();
  CLI::App* verb = app.add_subcommand("invite", "print a ticket that lets others into the mesh");
  verb->add_option_function<std::string>(
      "--role", [request](const std::string& role) { request->set_role(role); },
      "reader, member (default), inviter or admin");
  verb->add_option_function<int>(
      "--uses",
      [request](int uses) { request->set_uses(uses == 0 ? -1 : uses); },  // 0 asks for the default.
      "how many peers it lets in, 1 (default) to 1000");
  verb->add_option_function<std::string>(
      "--ttl", [request](const std::string& ttl) { request->set_ttl(ttl); },
      "how long it lasts, at most 720h; 24h where nothing is said");
  verb->callback([&, request] { exit_code = Invite(context, *request); });
}

void AddJoin(CLI::App& app, Context& context, int& exit_code) {
  auto ticket = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("join", "let the waiting peer into the mesh of a ticket");
  verb->add_option("TICKET", *ticket, "what `panal invite` printed")->required();
  verb->callback([&, ticket] { exit_code = Join(context, *ticket); });
}

void AddMembers(CLI::App& app, Context& context, int& exit_code) {
  app.add_subcommand("members",
                     "who is in the mesh, and who was thrown out, as far as the peer knows")
      ->callback([&] { exit_code = Members(context); });
}

}  // namespace panal::cli
