#include "tests/sim/program/graph.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace panal::sim {
namespace {

Graph LargestComponent(const Graph& graph) {
  std::vector<int> component(graph.size(), -1);
  std::vector<uint32_t> largest;
  int count = 0;
  for (uint32_t start = 0; start < graph.size(); ++start) {
    if (component[start] >= 0) continue;
    std::vector<uint32_t> members = {start};
    component[start] = count;
    for (size_t i = 0; i < members.size(); ++i) {
      for (uint32_t other : graph.neighbors[members[i]]) {
        if (component[other] >= 0) continue;
        component[other] = count;
        members.push_back(other);
      }
    }
    ++count;
    if (members.size() > largest.size()) largest = std::move(members);
  }
  std::sort(largest.begin(), largest.end());
  std::vector<uint32_t> number(graph.size(), 0);
  for (uint32_t i = 0; i < largest.size(); ++i) number[largest[i]] = i;
  Graph result;
  for (uint32_t old : largest) {
    std::vector<uint32_t> others;
    for (uint32_t other : graph.neighbors[old]) others.push_back(number[other]);
    result.neighbors.push_back(std::move(others));
  }
  return result;
}

void RemoveRepeats(Graph& graph) {
  for (std::vector<uint32_t>& others : graph.neighbors) {
    std::sort(others.begin(), others.end());
    others.erase(std::unique(others.begin(), others.end()), others.end());
  }
}

}  // namespace

Graph GraphOf(const Simulation& sim) {
  std::vector<PeerIndex> live = sim.Live();
  Graph graph;
  for (PeerIndex peer : live) {
    std::vector<uint32_t> others;
    for (PeerIndex other : sim.LinksOf(peer)) {
      auto at = std::lower_bound(live.begin(), live.end(), other);
      others.push_back(static_cast<uint32_t>(at - live.begin()));
    }
    graph.neighbors.push_back(std::move(others));
  }
  return graph;
}

absl::StatusOr<Graph> ReadGraph(const std::string& path) {
  std::ifstream file(path);
  size_t nodes = 0;
  if (!(file >> nodes) || nodes == 0 || nodes > 10'000'000) {
    return absl::InvalidArgumentError(absl::StrCat(path, " does not begin with a number of nodes"));
  }
  Graph graph;
  graph.neighbors.resize(nodes);
  uint32_t from = 0;
  uint32_t to = 0;
  while (file >> from >> to) {
    if (from >= nodes || to >= nodes) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " has the edge ", from, " ", to, " but only ", nodes, " nodes"));
    }
    if (from == to) continue;
    graph.neighbors[from].push_back(to);
    graph.neighbors[to].push_back(from);
  }
  if (!file.eof())
    return absl::InvalidArgumentError(absl::StrCat(path, " has a line that is no edge"));
  RemoveRepeats(graph);
  return LargestComponent(graph);
}

Walked Flood(const Graph& graph, uint32_t origin, int ttl) {
  Walked walked;
  std::vector<bool> seen(graph.size(), false);
  seen[origin] = true;
  walked.visited.push_back(origin);
  size_t begin = 0;
  while (walked.hops < ttl && begin < walked.visited.size()) {
    size_t end = walked.visited.size();
    for (; begin < end; ++begin) {
      const std::vector<uint32_t>& others = graph.neighbors[walked.visited[begin]];
      // Not back to where it came from, which the origin has not.
      walked.messages += others.size() - (walked.visited[begin] == origin ? 0 : 1);
      for (uint32_t other : others) {
        if (seen[other]) continue;
        seen[other] = true;
        walked.visited.push_back(other);
      }
    }
    if (walked.visited.size() > end) ++walked.hops;
  }
  return walked;
}

Walked Walk(const Graph& graph, uint32_t origin, int walkers, int steps, Random& random) {
  Walked walked;
  std::vector<bool> seen(graph.size(), false);
  seen[origin] = true;
  walked.visited.push_back(origin);
  std::vector<std::pair<uint32_t, uint32_t>> at(walkers,
                                                {origin, origin});  // Where it is, and was.
  for (int step = 0; step < steps; ++step) {
    for (auto& [now, before] : at) {
      const std::vector<uint32_t>& others = graph.neighbors[now];
      if (others.empty()) continue;
      uint32_t next = others[random.Below(others.size())];
      if (next == before && others.size() > 1) next = others[random.Below(others.size())];
      before = std::exchange(now, next);
      ++walked.messages;
      if (seen[next]) continue;
      seen[next] = true;
      walked.visited.push_back(next);
    }
  }
  walked.hops = steps;
  return walked;
}

}  // namespace panal::sim
