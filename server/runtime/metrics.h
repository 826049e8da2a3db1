// What a peer measures of itself, for Prometheus. Names: `panal_<subsystem>_<what>_<unit>[_total]`,
// never labelled by an object's id. The table of all metrics stands in metrics.cc.
//
// Thread-safe. prometheus-cpp is included in metrics.cc only.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/application/dispatcher.h"

namespace panal {

enum class Counter : uint8_t {
  kFramesReceived,
  kFramesRefused,
  kFramesUndecodable,
  kFramesUnknown,
  kFramesShed,
  kPagesVerified,
  kPagesRefused,
  kSearches,
  kSearchesIncomplete,
  kSearchesRefused,
  kSearchHits,
  kFetches,
  kFetchesFailed,
  kMailboxRefused,
  kDialsFailed,
  kCount,
};

enum class Gauge : uint8_t {
  kNeighbors,
  kMeshSize,
  kPublishedFiles,
  kStoredBytes,
  kMailboxWaiting,
  kFetchesActive,
  kPageCopiesRatio,
  kCount,
};

class Metrics {
 public:
  explicit Metrics(const std::string& version);
  ~Metrics();

  void Count(Counter counter, double by = 1);
  void Set(Gauge gauge, double value);
  void ObserveQueueTime(WorkClass work_class, absl::Duration waited);
  void ObserveSearch(absl::Duration elapsed, double recall);

  // Prometheus text exposition.
  std::string Text() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace panal
