// panal cat: writes a file's content to stdout, fetching it first where the peer does not have it.
#include <cstdio>

#include "absl/status/status.h"
#include "client/cli/verb.h"

namespace panal::cli {
namespace {

int Cat(const Context& context, const std::string& text) {
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  auto id = ResolveFile(**client, text);
  if (!id.ok()) return Fail(id.status());
  auto fetched = Fetch(**client, *id);
  if (!fetched.ok()) return Fail(fetched.status());
  v1::ReadFileRequest request;
  request.set_id(*id);
  absl::Status status = (*client)->ReadFile(request, [](const std::string& bytes) {
    size_t written = std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    return written == bytes.size() ? absl::OkStatus() : absl::UnknownError("stdout is closed");
  });
  std::fflush(stdout);
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
