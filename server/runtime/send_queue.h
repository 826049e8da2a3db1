// What waits to be written on a link, the urgent first: a link that carries pages must not hold up
// the membership, the measurement or the answers of searches.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "common/model/frame.h"

namespace panal {

// Most urgent first. Frames of one urgency stay in their order; nothing may depend on the order of
// others, but for a goodbye, which is last.
enum class Urgency : uint8_t {
  kControl,  // Membership, measurement, acknowledgements.
  kAnswer,   // What others wait for already.
  kCast,     // Ranges of bubbles, without bodies of pages.
  kBulk,     // Bodies of pages.
  kGoodbye,
};
inline constexpr size_t kUrgencies = 5;

Urgency UrgencyOf(const Frame& frame);

// Not thread-safe.
class SendQueue {
 public:
  bool empty() const;
  void Push(std::string frame, Urgency urgency);
  // The next to be written. REQUIRES: not empty.
  std::string Pop();
  void Clear();

 private:
  std::array<std::deque<std::string>, kUrgencies> frames_;
};

}  // namespace panal
