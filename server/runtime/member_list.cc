#include "server/runtime/member_list.h"

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "absl/time/clock.h"

namespace panal {
namespace {

// Of a peer's credentials the one that counts: rather one that is in than one that is out, then the
// one that lasts longer.
bool IsBetter(const KnownMember& one, const KnownMember& other) {
  const bool one_in = one.out == nullptr;
  const bool other_in = other.out == nullptr;
  if (one_in != other_in) return one_in;
  return one.credential->not_after > other.credential->not_after;
}

KnownMember Describe(const CredentialPtr& credential, const Revocations& revocations) {
  KnownMember member{.peer = credential->peer, .serial = credential->serial()};
  member.credential = credential;
  if (const auto cause = revocations.Check(credential->chain)) member.out = cause->fact;
  return member;
}

}  // namespace

std::vector<KnownMember> ListKnownMembers(const MeshAdmission& admission,
                                          const CredentialPtr& own) {
  const std::shared_ptr<const Revocations> revocations = admission.revocations();
  std::vector<CredentialPtr> shown = admission.Checked();
  shown.push_back(own);
  std::map<PeerId, KnownMember> peers;
  std::map<Serial, KnownMember> grants;
  std::set<Serial> serials;
  for (const CredentialPtr& credential : shown) {
    if (credential->not_after <= absl::Now()) continue;
    KnownMember member = Describe(credential, *revocations);
    if (member.out != nullptr) serials.insert(member.serial);
    const auto [it, fresh] = peers.try_emplace(credential->peer, member);
    if (!fresh && IsBetter(member, it->second)) it->second = std::move(member);
  }
  for (const FactPtr& fact : revocations->Voiding()) {
    const auto* revocation = std::get_if<Revocation>(&fact->body);
    const Serial* serial = revocation ? std::get_if<Serial>(&revocation->target) : nullptr;
    if (serial != nullptr) {
      if (!serials.contains(*serial)) grants[*serial] = {.serial = *serial, .out = fact};
      continue;
    }
    const PeerId& peer = revocation != nullptr ? std::get<PeerId>(revocation->target)
                                               : std::get<MovedTo>(fact->body).from;
    KnownMember& member = peers[peer];
    member.peer = peer;
    member.out = fact;
  }
  std::vector<KnownMember> members;
  for (auto& [peer, member] : peers) members.push_back(std::move(member));
  for (auto& [serial, member] : grants) members.push_back(std::move(member));
  return members;
}

}  // namespace panal
