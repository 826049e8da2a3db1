// Hits on their way to who asked: merged, each once, of at most so many ids, cut into frames.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/btree_set.h"
#include "common/base/ids.h"
#include "common/model/hit_limit.h"
#include "common/model/record.h"

namespace panal {

// Bytes of hits in one answer: leaves room in a frame of kFrameSizeMax for the wire form's
// overhead.
inline constexpr size_t kAnswerHitBytesMax = 192 * 1024;

// Passes hits on, each once by (id, kind, publisher, name), of at most `limit` different ids
// (common/model/hit_limit.h).
class HitMerger {
 public:
  explicit HitMerger(uint32_t limit) : limit_(limit) {}

  void Add(std::vector<Hit> hits);

  // Hits added and not taken yet, in the order they came.
  std::vector<Hit> Take();

  bool HasFresh() const { return !fresh_.empty(); }

  // Whether something that matches was left out because of the limit.
  bool truncated() const { return truncated_; }

  size_t passed() const { return seen_.size(); }

 private:
  HitLimit limit_;
  bool truncated_ = false;
  absl::btree_set<Sha256Digest> seen_;
  std::vector<Hit> fresh_;
};

// `hits` in parts that fit an answer each: at most kAnswerHitsMax hits and about kAnswerHitBytesMax
// bytes. At least one part, which may be empty.
std::vector<std::vector<Hit>> SplitIntoAnswers(std::vector<Hit> hits);

}  // namespace panal
