// What an experiment of panal-sim is run with, and what it says.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "server/processing/core.h"

namespace panal::sim {

// How unequal the peers are (docs/benchmarks.md: Mixes).
enum class Mix { kHomogeneous, kBubbleStorm, kGia };

struct Parameters {
  std::string experiment;
  int peers = 1000;
  uint64_t seed = 1;
  // Asked for, above 0, at most 1. Several are measured on the same mesh.
  std::vector<double> recalls = {0.9999};
  // Pairs of a record and a query; the square root of it are records, as many are queries.
  int trials = 40'000;
  Mix mix = Mix::kHomogeneous;
  // Share of the peers that fail or are hostile.
  double fail = 0.5;
  // What hostile peers do, or whose parameters are taken.
  std::string variant;
  // `baseline`: a file with another graph than Panal's (graph.h).
  std::string graph;
  // `recall` and `baseline`: the record of rank i is published, and asked for, in proportion to
  // i^-zipf. 0: every record once, and every search asks for all of them.
  double zipf = 0;
  // Hits that are enough for a search; 0: all of them.
  int enough = 0;
  // `hostile`: minutes of use of the mesh, hostile peers and all, before the searches that count.
  double use_minutes = 0;
  // Virtual hours of `churn`.
  double hours = 6;
  // Lengths of sessions of `churn`: `weibull` or `exponential` (churn.cc).
  std::string sessions = "weibull";
  // Whether peers exchange digests; as shipped unless said otherwise.
  bool digests = SearchOptions{}.digests;
  // Minutes between two canaries of a peer; 0: none.
  double canary_minutes = 0;
  // Of every link: the share of the frames that is lost, and that comes twice, and by up to how many
  // milliseconds a frame comes after its turn.
  double loss = 0;
  double duplication = 0;
  double reorder_ms = 0;
  // The line that runs the experiment again; empty where no program runs it.
  std::string command;
};

using Value = std::variant<int64_t, uint64_t, double, std::string>;

// One row of results: names and values in the order they are printed.
class Row {
 public:
  void Add(std::string name, Value value) {
    values_.emplace_back(std::move(name), std::move(value));
  }

  // Replaces the value of a name that was added.
  void Set(const std::string& name, Value value) {
    for (auto& [key, old] : values_) {
      if (key == name) old = std::move(value);
    }
  }

  const std::vector<std::pair<std::string, Value>>& values() const { return values_; }

 private:
  std::vector<std::pair<std::string, Value>> values_;
};

}  // namespace panal::sim
