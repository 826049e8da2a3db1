// Searches that are not Panal's, on a graph that stands still: what the literature compares with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/random.h"
#include "tests/sim/simulator.h"

namespace panal::sim {

struct Graph {
  std::vector<std::vector<uint32_t>> neighbors;

  size_t size() const { return neighbors.size(); }
};

// The working links among the live peers, who are numbered anew.
Graph GraphOf(const Simulation& sim);
// An edge list as SNAP publishes the Gnutella crawls: the number of nodes in the first line, then a
// pair of nodes a line. Edges count in both directions; only the largest component is kept.
absl::StatusOr<Graph> ReadGraph(const std::string& path);

// What one search did.
struct Walked {
  std::vector<uint32_t> visited;  // In the order they were reached, the origin first; each once.
  uint64_t messages = 0;
  int hops = 0;
};

// Flooding: every peer passes the query to all neighbors but the one it came from, `ttl` times.
Walked Flood(const Graph& graph, uint32_t origin, int ttl);
// `walkers` random walks of `steps` steps each (Lv et al., ICS 2002), which never step straight
// back.
Walked Walk(const Graph& graph, uint32_t origin, int walkers, int steps, Random& random);

}  // namespace panal::sim
