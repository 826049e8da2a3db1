#include "absl/strings/str_cat.h"
#include "server/runtime/node.h"

namespace panal {
namespace {

// A JSON string: ids and addresses hold nothing that must be escaped.
std::string Quoted(const std::string& text) { return absl::StrCat("\"", text, "\""); }

}  // namespace

std::string NodeAddresses::ReadyLine() const {
  return absl::StrCat("ready {\"peer_id\":", Quoted(peer_id.ToText()), ",\"api\":", Quoted(api),
                      ",\"mesh\":", mesh.empty() ? "null" : Quoted(mesh),
                      ",\"http\":", http.empty() ? "null" : Quoted(http), "}");
}

}  // namespace panal
