// A verb of the command line: one file each, registered in kVerbs (verb.cc).
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/output.h"
#include "client/proxy/client.h"

namespace panal::cli {

// What every verb may use.
struct Context {
  std::string api = "127.0.0.1:7400";
  // Empty: the token of PANAL_TOKEN, or none.
  std::string token_file;
  std::string output = "table";

  bool json() const { return output == "json"; }

  // Connects to the peer at `api`; what is called then is the object of this reference instead of the
  // peer's own, where one is given.
  absl::StatusOr<std::unique_ptr<Client>> Connect(const std::string& object = "") const;
};

// Adds a verb to `app`; its callback leaves the exit code in `exit_code`.
using AddVerb = void (*)(CLI::App& app, Context& context, int& exit_code);

void AddInit(CLI::App& app, Context& context, int& exit_code);
void AddInvite(CLI::App& app, Context& context, int& exit_code);
void AddJoin(CLI::App& app, Context& context, int& exit_code);
void AddMembers(CLI::App& app, Context& context, int& exit_code);
void AddRevoke(CLI::App& app, Context& context, int& exit_code);
void AddMoveTo(CLI::App& app, Context& context, int& exit_code);
void AddStatus(CLI::App& app, Context& context, int& exit_code);
void AddPeers(CLI::App& app, Context& context, int& exit_code);
void AddAdd(CLI::App& app, Context& context, int& exit_code);
void AddLs(CLI::App& app, Context& context, int& exit_code);
void AddStat(CLI::App& app, Context& context, int& exit_code);
void AddRm(CLI::App& app, Context& context, int& exit_code);
void AddSearch(CLI::App& app, Context& context, int& exit_code);
void AddGet(CLI::App& app, Context& context, int& exit_code);
void AddCat(CLI::App& app, Context& context, int& exit_code);
void AddToken(CLI::App& app, Context& context, int& exit_code);
void AddDoctor(CLI::App& app, Context& context, int& exit_code);
void AddVersion(CLI::App& app, Context& context, int& exit_code);
void AddCompletion(CLI::App& app, Context& context, int& exit_code);
void AddHelp(CLI::App& app, Context& context, int& exit_code);

// `; did you mean `search`?` for a word close to one that is known, else `otherwise`.
std::string Suggestion(const std::string& word, const std::vector<std::string>& known,
                       const std::string& otherwise);

std::vector<std::string> VerbNames(const CLI::App& app);
// `--output`, `-o`, …: those of `app` itself, not of its verbs.
std::vector<std::string> OptionsOf(const CLI::App& app);

// Runs the command line. Returns the exit code.
int Run(int argc, const char* const* argv);

// Full id of the file that `text` names: an id, a prefix that this peer knows, or one that a search
// of the mesh finds once. Errors: FILE_ID_INVALID, FILE_AMBIGUOUS, SOURCE_NOT_FOUND.
absl::StatusOr<std::string> ResolveFile(Client& client, const std::string& text);

// Fetches a file onto the peer, showing progress; the last message.
absl::StatusOr<v1::FetchFileResponse> Fetch(Client& client, const std::string& id,
                                            const std::string& timeout = "");

// What the size of a file is everywhere: of a directory the bytes of all files below it.
int64_t SizeOf(const v1::FileInfo& file);

// `key=value` arguments, each key once. Error: ATTRIBUTE_INVALID.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ParseAttributes(
    const std::vector<std::string>& arguments);

}  // namespace panal::cli
