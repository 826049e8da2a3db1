#include "server/runtime/send_queue.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/check.h"

namespace panal {

Urgency UrgencyOf(const Frame& frame) {
  if (const auto* cast = std::get_if<Cast>(&frame)) {
    const auto* page = std::get_if<PagePayload>(&cast->payload);
    return page != nullptr && page->has_body ? Urgency::kBulk : Urgency::kCast;
  }
  if (std::holds_alternative<Answer>(frame)) return Urgency::kAnswer;
  if (std::holds_alternative<PageBodyFrame>(frame)) return Urgency::kBulk;
  // Both alike: a delta must not overtake the digest that it adds to.
  if (std::holds_alternative<DigestFrame>(frame)) return Urgency::kBulk;
  if (std::holds_alternative<DigestDelta>(frame)) return Urgency::kBulk;
  if (std::holds_alternative<FactNames>(frame)) return Urgency::kBulk;
  if (const auto* facts = std::get_if<FactBodies>(&frame)) {
    return facts->asked ? Urgency::kBulk : Urgency::kControl;
  }
  if (std::holds_alternative<Disconnect>(frame)) return Urgency::kGoodbye;
  return Urgency::kControl;
}

bool SendQueue::empty() const {
  return std::all_of(frames_.begin(), frames_.end(),
                     [](const auto& frames) { return frames.empty(); });
}

void SendQueue::Push(std::string frame, Urgency urgency) {
  frames_[static_cast<size_t>(urgency)].push_back(std::move(frame));
}

std::string SendQueue::Pop() {
  auto first = std::find_if(frames_.begin(), frames_.end(),
                            [](const auto& frames) { return !frames.empty(); });
  PANAL_CHECK(first != frames_.end());
  std::string frame = std::move(first->front());
  first->pop_front();
  return frame;
}

void SendQueue::Clear() {
  for (auto& frames : frames_) frames.clear();
}

}  // namespace panal
