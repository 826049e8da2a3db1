// panal cat: writes a file's content to stdout, fetching it first where the peer does not have it.
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cli/verb.h"
#include "common/base/status.h"

namespace panal::cli {
namespace {

absl::Status RefuseDirectory(const std::string& kind, const std::string& id) {
  if (kind != "directory") return absl::OkStatus();
  return Error(ErrorReason::kArgumentInvalid,
               absl::StrCat(id, " is a directory; `panal ls ", id, "` lists it, `panal get ", id,
                            "` writes it out"),
               {{"id", id}});
}

// Fetches what is to be shown; of a directory that the peer knows, nothing.
absl::Status FetchContent(Client& client, const std::string& id) {
  absl::StatusOr<v1::FileInfo> known = client.GetFile(id);
  if (known.ok()) PANAL_RETURN_IF_ERROR(RefuseDirectory(known->kind(), id));
  PANAL_ASSIGN_OR_RETURN(v1::FetchFileResponse fetched, Fetch(client, id));
  return RefuseDirectory(fetched.kind(), id);
}

int Cat(const Context& context, const std::string& text) {
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  auto id = ResolveFile(**client, text);
  if (!id.ok()) return Fail(id.status());
  absl::Status status = FetchContent(**client, *id);
  if (!status.ok()) return Fail(status);
  v1::ReadFileRequest request;
  request.set_id(*id);
  status = (*client)->ReadFile(request, [](const std::string& bytes) {
    return WriteOut(bytes) ? absl::OkStatus() : FinishOutput();
  });
  return status.ok() ? kExitOk : Fail(status);
}

}  // namespace

void AddCat(CLI::App& app, Context& context, int& exit_code) {
  auto id = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("cat", "write a file's content to stdout");
  verb->add_option("ID", *id, "a file id or a unique prefix of one")->required();
  verb->callback([&, id] { exit_code = Cat(context, *id); });
}

}  // namespace panal::cli
