// Facts in the simulator: what was said is valid, everything else is not; signatures are none.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/sha256.h"
#include "common/model/fact.h"

namespace panal::sim {

// What a worker takes to verify a fact: three signatures.
inline constexpr absl::Duration kFactTime = absl::Microseconds(480);

class SimFacts {
 public:
  // `signer`, an admin by the root's grant, says `body`.
  FactPtr Say(const PeerId& signer, FactBody body, absl::Time now) {
    auto fact = std::make_shared<VerifiedFact>();
    // As long as one of a chain of two grants.
    fact->bytes = absl::StrCat("fact ", said_.size(), " of ", signer.ToText());
    fact->bytes.resize(kSize, '.');
    fact->id = Sha256(fact->bytes);
    fact->body = std::move(body);
    fact->time = now;
    fact->expires = now + kLifetime;
    fact->signer = {{.subject = signer, .role = Role::kAdmin}};
    said_[fact->bytes] = fact;
    return fact;
  }

  // Null: nobody said it.
  FactPtr Verify(const std::string& bytes) const {
    const auto it = said_.find(bytes);
    return it == said_.end() ? nullptr : it->second;
  }

 private:
  static constexpr size_t kSize = 440;
  static constexpr absl::Duration kLifetime = absl::Hours(24 * 1825);

  absl::btree_map<std::string, FactPtr> said_;
};

}  // namespace panal::sim
