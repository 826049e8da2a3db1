// How members and revocations are shown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/cli/output.h"
#include "panal/v1/peer_object.pb.h"

namespace panal::cli {

// `never`, or a time in UTC. `seconds`: since 1970, 0 for never.
std::string TimeText(int64_t seconds);

Json RevocationJson(const v1::Revocation& revocation);
Json MemberJson(const v1::Member& member);

// Tables: who is in, then who and what is out, where anything is.
void PrintMembers(const std::vector<v1::Member>& members);

}  // namespace panal::cli
