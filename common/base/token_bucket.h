// How often something may happen: `burst` times at once, and once in `period` in the long run.
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace panal {

struct Rate {
  double burst = 1;
  absl::Duration period = absl::Seconds(1);
};

// Full at first. Time is a parameter; one that goes back fills nothing. Not thread-safe.
class TokenBucket {
 public:
  explicit TokenBucket(const Rate& rate) : rate_(rate), tokens_(rate.burst) {}

  bool Has(absl::Time now) {
    if (now > filled_) {
      tokens_ = std::min(rate_.burst, tokens_ + absl::FDivDuration(now - filled_, rate_.period));
      filled_ = now;
    }
    return tokens_ >= 1;
  }

  // Takes one; false where there is none.
  bool Take(absl::Time now) {
    if (!Has(now)) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  Rate rate_;
  double tokens_;
  absl::Time filled_ = absl::InfinitePast();
};

}  // namespace panal
