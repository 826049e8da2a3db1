#include "server/runtime/revoker.h"

#include <memory>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/identity/fact.h"
#include "server/processing/admission/fact_set.h"

namespace panal {
namespace {

absl::StatusOr<FactPtr> CheckSigned(absl::string_view bytes, const MeshId& mesh, absl::Time now) {
  PANAL_ASSIGN_OR_RETURN(VerifiedFact fact, CheckFact(bytes, mesh, now));
  return std::make_shared<const VerifiedFact>(std::move(fact));
}

// Why a fact that was made is not remembered.
absl::Status RefusalOf(const VerifiedFact& fact, FactOutcome outcome) {
  if (outcome == FactOutcome::kExpired) {
    return Error(ErrorReason::kFactInvalid,
                 absl::StrCat("the revocation has expired at ", FormatUtc(fact.expires)));
  }
  FactKind kind = FactKind::kRevocation;
  std::string advice = "; let another admin do it, or the root: --root-key FILE";
  if (std::holds_alternative<MovedTo>(fact.body)) {
    kind = FactKind::kMove;
    advice = "; let an admin revoke this peer";
  } else if (std::holds_alternative<Redemption>(fact.body)) {
    kind = FactKind::kRedemption;
    advice = "";
  } else if (fact.signer.empty()) {
    kind = FactKind::kRoot;
    advice = "";
  }
  const FactQuota& quota = kFactQuotas[static_cast<size_t>(kind)];
  return Error(
      ErrorReason::kFactsFull,
      absl::StrCat("a mesh remembers ", quota.facts, " facts of this kind, ", quota.per_signer,
                   " of one signer, until they expire; nothing was done", advice),
      {{"limit", absl::StrCat(quota.facts)}, {"limit_of_signer", absl::StrCat(quota.per_signer)}});
}

}  // namespace

Revoker::Revoker(const Identity& identity, const MeshAdmission& admission, FactKeeper& keeper,
                 Tell tell, std::function<absl::Time()> now)
    : identity_(identity),
      admission_(admission),
      keeper_(keeper),
      tell_(std::move(tell)),
      now_(std::move(now)) {}

absl::StatusOr<FactPtr> Revoker::Make(const RevocationOrder& order) const {
  if (!order.fact.empty()) {
    PANAL_ASSIGN_OR_RETURN(const FactPtr given, CheckSigned(order.fact, admission_.mesh(), now_()));
    if (std::holds_alternative<Revocation>(given->body)) return given;
    return Error(ErrorReason::kFactInvalid, "the fact is no revocation");
  }
  Revocation revocation{.cascade = order.cascade, .reason = order.reason};
  PANAL_ASSIGN_OR_RETURN(revocation.target, ParseRevocationTarget(order.target));
  PANAL_ASSIGN_OR_RETURN(const FactPtr fact, Sign(std::move(revocation)));
  PANAL_RETURN_IF_ERROR(CheckSparesOneself(fact));
  return fact;
}

absl::StatusOr<FactPtr> Revoker::Sign(FactBody body) const {
  PANAL_ASSIGN_OR_RETURN(GrantChain chain, DecodeChain(admission_.credential()));
  PANAL_RETURN_IF_ERROR(admission_.CheckRevocations(GrantsOf(chain)));
  return MakeVerifiedFact({identity_, std::move(chain)}, body, now_());
}

absl::Status Revoker::CheckSparesOneself(const FactPtr& fact) const {
  const auto cause = Revocations({fact}).Check(fact->signer);
  if (!cause) return absl::OkStatus();
  if (cause->place + 1 == fact->signer.size()) {
    return Error(ErrorReason::kArgumentInvalid,
                 "that is this peer itself: let another admin revoke it, or the root (--root-key)");
  }
  return Error(
      ErrorReason::kArgumentInvalid,
      absl::StrCat("peer ", fact->signer[cause->place].subject.ToText(),
                   " let this peer in, which would be out with it; spare those that it let "
                   "in before (--spare), or let the root revoke it (--root-key)"));
}

FactPtr Revoker::FindEqual(const FactBody& body) const {
  const auto* revocation = std::get_if<Revocation>(&body);
  for (const FactPtr& fact : admission_.revocations()->Voiding()) {
    const auto* said = std::get_if<Revocation>(&fact->body);
    if (said == nullptr || revocation == nullptr) {
      if (fact->body == body) return fact;
    } else if (said->target == revocation->target && (said->cascade || !revocation->cascade)) {
      return fact;
    }
  }
  return nullptr;
}

void Revoker::Revoke(const RevocationOrder& order, const Done& done) {
  const absl::StatusOr<FactPtr> fact = Make(order);
  if (!fact.ok()) return done(fact.status());
  if (const FactPtr equal = FindEqual((*fact)->body)) {
    return done(RevocationResult{.fact = equal, .already = true});
  }
  if (!admission_.revocations()->Counts(**fact)) {
    return done(admission_.CheckRevocations((*fact)->signer));
  }
  Say(*fact, done);
}

void Revoker::MoveTo(absl::string_view public_key, const Done& done) {
  const MovedTo moved{.from = identity_.peer_id(), .to = std::string(public_key)};
  // Before it is signed: who has moved has no say.
  if (const FactPtr equal = FindEqual(moved)) {
    return done(RevocationResult{.fact = equal, .already = true});
  }
  const absl::StatusOr<FactPtr> fact = Sign(moved);
  if (!fact.ok()) return done(fact.status());
  Say(*fact, done);
}

void Revoker::LogFailure(const absl::StatusOr<RevocationResult>& result) {
  if (result.ok()) return;
  LogLimited(LogLevel::kError, "fact_not_said", {{"why", std::string(result.status().message())}});
}

void Revoker::Say(const FactPtr& fact, const Done& done) {
  if (absl::Status kept = keeper_.Keep({fact}); !kept.ok()) return done(kept);
  tell_(fact, [fact, done](FactOutcome outcome) {
    const bool remembered = outcome == FactOutcome::kAdded || outcome == FactOutcome::kKnown;
    if (!remembered) return done(RefusalOf(*fact, outcome));
    done(RevocationResult{.fact = fact, .already = outcome == FactOutcome::kKnown});
  });
}

}  // namespace panal
