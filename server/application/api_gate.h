// Who may call what of a peer's API: the role that each method needs, and the tokens that have it
// (docs/protocol/objects.md, "Tokens").
//
// Every call of the API port passes here before anything else looks at it; the HTTP port asks too.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/identity/api_token.h"

namespace panal {

// Metadata key, and HTTP header, of a token: `Bearer TOKEN`. A gate takes it off the call, so that no
// other peer sees it.
inline constexpr char kAuthorizationKey[] = "authorization";

// The role that a program needs for `method` (`/package.Service/Method`), wherever the object lives.
// Of services that are not this project's it is kWrite: what they do is not known. A method of this
// project's that is not in the table needs kAdmin.
ApiRole ApiRoleFor(absl::string_view method);

// The table behind ApiRoleFor, by name.
const std::vector<std::pair<absl::string_view, ApiRole>>& ApiRoles();

// Thread-safe.
class ApiGate {
 public:
  // Without tokens it is open: all may call everything.
  explicit ApiGate(const std::vector<ApiToken>& tokens = {});

  bool open() const { return open_; }

  // Whether who sent these values of kAuthorizationKey may do what needs the role. The answer depends on
  // what was sent alone, never on whether there is such a method. Errors: TOKEN_INVALID (none, several
  // or an unknown one), TOKEN_ROLE_TOO_LOW.
  absl::Status Admit(ApiRole needed, const std::vector<std::string>& authorization) const;

 private:
  const bool open_;
  const ApiTokenSet tokens_;
};

}  // namespace panal
