// The experiments of panal-sim. Each runs meshes of its own from the seed and returns a row a
// result.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "tests/sim/program/parameters.h"

namespace panal::sim {

// How many (record, query) pairs miss, against what the answers promise.
std::vector<Row> RunRecall(const Parameters& parameters);
// The same right after a share of the peers crashed at once, or left, and once the mesh is mended.
std::vector<Row> RunCrash(const Parameters& parameters);
std::vector<Row> RunLeave(const Parameters& parameters);
// Reach of broadcasts right after --fail of the peers crashed, with Panal's parameters or
// HyParView's (variant `hyparview`), and how long healing takes.
std::vector<Row> RunBroadcast(const Parameters& parameters);
// --fail of the peers are cut off for ten minutes; how long the mesh takes to be one again.
std::vector<Row> RunPartition(const Parameters& parameters);
// --fail of the peers drop the pages they say they keep; what canaries make of it, for --hours.
std::vector<Row> RunCanary(const Parameters& parameters);
// Recall while a share of the peers is hostile; the variant says how.
std::vector<Row> RunHostile(const Parameters& parameters);
// Sessions of peers begin and end for hours; recall of what live peers publish.
std::vector<Row> RunChurn(const Parameters& parameters);
std::vector<Row> RunClasses(const Parameters& parameters);
// What flooding, expanding rings and random walks cost for the same recall, on Panal's links, on
// HyParView's or on those of a file; for comparison only. Error: the file is no graph.
absl::StatusOr<std::vector<Row>> RunBaseline(const Parameters& parameters);
// Work of index and queries, by the clamped capacity of peers.
std::vector<Row> RunLoad(const Parameters& parameters);
// How much of what is published later is told to subscriptions, at once and at last, and what one
// costs.
std::vector<Row> RunStanding(const Parameters& parameters);

}  // namespace panal::sim
