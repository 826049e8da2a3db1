#include "server/runtime/frame_order.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace panal {

bool FrameOrder::Pass(const PeerId& link, Deliver deliver) {
  {
    MutexLock lock(&mutex_);
    auto it = links_.find(link);
    if (it != links_.end() && it->second.size() >= held_max_) return false;
    Append(link, std::move(deliver));
  }
  ready_.Run();
  return true;
}

void FrameOrder::PassAlways(const PeerId& link, Deliver deliver) {
  {
    MutexLock lock(&mutex_);
    Append(link, std::move(deliver));
  }
  ready_.Run();
}

void FrameOrder::Append(const PeerId& link, Deliver deliver) {
  auto it = links_.find(link);
  if (it == links_.end()) {
    ready_.Push(std::move(deliver));
  } else {
    it->second.push_back({.settled = true, .deliver = std::move(deliver)});
  }
}

FrameOrder::Place FrameOrder::Keep(const PeerId& link) {
  MutexLock lock(&mutex_);
  auto it = links_.find(link);
  if (it != links_.end() && it->second.size() >= held_max_) return 0;
  links_[link].push_back({.place = next_place_});
  return next_place_++;
}

void FrameOrder::Settle(const PeerId& link, Place place, Deliver deliver) {
  {
    MutexLock lock(&mutex_);
    auto it = links_.find(link);
    PANAL_CHECK(it != links_.end());
    std::deque<Waiting>& waiting = it->second;
    auto kept = std::find_if(waiting.begin(), waiting.end(),
                             [place](const Waiting& one) { return one.place == place; });
    PANAL_CHECK(kept != waiting.end() && !kept->settled);
    kept->settled = true;
    kept->deliver = std::move(deliver);
    while (!waiting.empty() && waiting.front().settled) {
      if (waiting.front().deliver) ready_.Push(std::move(waiting.front().deliver));
      waiting.pop_front();
    }
    if (waiting.empty()) links_.erase(it);
  }
  ready_.Run();
}

}  // namespace panal
