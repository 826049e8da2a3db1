// One SearchCore alone on a bench: the test is its neighbors, its catalog and its clock.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/processing/search/search_core.h"
#include "tests/unit/processing/search/search_mesh.h"

namespace panal {

class OnePeer {
 public:
  explicit OnePeer(int neighbors, const SearchOptions& options = {.saturated_factor = 0},
                   double mesh_size = 1000)
      : random_(7), core(SearchCore::Create(PeerIdOf(0), options, random_)) {
    for (int i = 1; i <= neighbors; ++i) links.push_back(PeerIdOf(i));
    std::sort(links.begin(), links.end());
    core->SetNeighbors(links);
    core->SetEstimate({mesh_size, 16 * mesh_size, 256 * mesh_size, true});
  }

  // A cast of a query as `from` would send it.
  static Cast QueryCast(uint8_t bubble, uint32_t begin, uint32_t end, uint32_t budget_ms = 1000) {
    Cast cast;
    cast.bubble.bytes[0] = bubble;
    cast.origin = PeerIdOf(99);
    cast.seed = 5;
    cast.begin = begin;
    cast.end = end;
    cast.hops = 2;
    cast.budget_ms = budget_ms;
    cast.payload = QueryPayload{"q", 100};
    return cast;
  }

  void Receive(const PeerId& from, const Cast& cast) { core->OnCast(from, cast, now, outputs); }

  void Receive(const PeerId& from, const Answer& answer) {
    core->OnAnswer(from, answer, now, outputs);
  }

  // The final answer to a cast that the peer sent.
  void AnswerTo(const SendFrame& sent, uint32_t visited, uint32_t unanswered = 0) {
    const Cast& cast = std::get<Cast>(sent.frame);
    Answer answer{.bubble = cast.bubble, .begin = cast.begin, .final = true};
    answer.visited = visited;
    answer.unanswered = unanswered;
    Receive(sent.to, answer);
  }

  // Answers the one QueryIndex among the outputs.
  void AnswerIndex(std::vector<Hit> hits = {}, bool failed = false) {
    const std::vector<QueryIndex> queries = Take<QueryIndex>();
    ASSERT_EQ(queries.size(), 1u);
    IndexAnswered answer{.token = queries[0].token, .hits = std::move(hits)};
    answer.failed = failed;
    core->OnIndexAnswered(answer, now, outputs);
  }

  void LoseLink(const PeerId& peer) {
    links.erase(std::find(links.begin(), links.end(), peer));
    core->SetNeighbors(links);
    core->OnNeighborDown(peer, /*departed=*/false, now, outputs);
  }

  // Lets time pass and fires every timer that is due on the way.
  void Pass(absl::Duration duration) {
    const absl::Time end = now + duration;
    while (true) {
      CollectTimers();
      auto next = std::min_element(timers_.begin(), timers_.end(),
                                   [](const auto& a, const auto& b) { return a.first < b.first; });
      if (next == timers_.end() || next->first > end) break;
      const auto [at, timer] = *next;
      timers_.erase(next);
      now = std::max(now, at);
      core->OnTimer(timer, now, outputs);
    }
    now = end;
  }

  // Outputs of one kind; they are removed.
  template <typename T>
  std::vector<T> Take() {
    CollectTimers();
    std::vector<T> taken;
    Outputs rest;
    for (Output& output : outputs) {
      if (auto* value = std::get_if<T>(&output)) {
        taken.push_back(std::move(*value));
      } else {
        rest.push_back(std::move(output));
      }
    }
    outputs = std::move(rest);
    return taken;
  }

  // Frames of one kind with their receivers; all other frames are dropped.
  template <typename T>
  std::vector<SendFrame> Sent() {
    std::vector<SendFrame> sent;
    for (SendFrame& send : Take<SendFrame>()) {
      if (std::holds_alternative<T>(send.frame)) sent.push_back(std::move(send));
    }
    return sent;
  }

  std::vector<PeerId> links;
  absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  Outputs outputs;

 private:
  void CollectTimers() {
    Outputs rest;
    for (Output& output : outputs) {
      if (auto* timer = std::get_if<ScheduleTimer>(&output)) {
        timers_.push_back({now + timer->delay, timer->timer});
      } else {
        rest.push_back(std::move(output));
      }
    }
    outputs = std::move(rest);
  }

  Random random_;
  std::vector<std::pair<absl::Time, Timer>> timers_;

 public:
  std::unique_ptr<SearchCore> core;
};

}  // namespace panal
