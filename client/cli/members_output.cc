#include "client/cli/members_output.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/identity/grant.h"

namespace panal::cli {

std::string TimeText(int64_t seconds) {
  return seconds == 0 ? "never" : FormatUtc(absl::FromUnixSeconds(seconds));
}

Json RevocationJson(const v1::Revocation& revocation) {
  return {{"peer_id", revocation.peer_id()}, {"serial", revocation.serial()},
          {"by", revocation.by()},           {"at", TimeText(revocation.time_s())},
          {"at_s", revocation.time_s()},     {"reason", revocation.reason()},
          {"cascade", revocation.cascade()}, {"moved_to", revocation.moved_to()}};
}

Json MemberJson(const v1::Member& member) {
  Json row = {{"peer_id", member.peer_id()},     {"role", member.role()},
              {"issuer", member.issuer()},       {"expires", TimeText(member.expires_s())},
              {"expires_s", member.expires_s()}, {"serial", member.serial()}};
  if (member.has_revocation()) row["revoked"] = RevocationJson(member.revocation());
  return row;
}

namespace {

// Why a member is out: the reason, and what the revocation names where that is something else.
std::string WhyOut(const v1::Member& member) {
  const v1::Revocation& revocation = member.revocation();
  if (!revocation.moved_to().empty()) return absl::StrCat("moved to ", revocation.moved_to());
  const bool is_named = revocation.peer_id().empty() ? revocation.serial() == member.serial()
                                                     : revocation.peer_id() == member.peer_id();
  if (is_named) return revocation.reason();
  return absl::StrCat(revocation.reason(), " (with ",
                      revocation.peer_id().empty() ? revocation.serial() : revocation.peer_id(),
                      ")");
}

}  // namespace

void PrintMembers(const std::vector<v1::Member>& members) {
  Table in({"PEER", "ROLE", "LET IN BY", "UNTIL"});
  Table out({"REVOKED", "BY", "AT", "WHY"});
  bool anybody_out = false;
  for (const v1::Member& member : members) {
    if (!member.has_revocation()) {
      in.Add({member.peer_id(), member.role(), member.issuer(), TimeText(member.expires_s())});
      continue;
    }
    anybody_out = true;
    const std::string who =
        member.peer_id().empty() ? absl::StrCat("grant ", member.serial()) : member.peer_id();
    out.Add({who, member.revocation().by(), TimeText(member.revocation().time_s()),
             Printable(WhyOut(member))});
  }
  in.Print();
  if (!anybody_out) return;
  WriteOut("\n");
  out.Print();
}

}  // namespace panal::cli
