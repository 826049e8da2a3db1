// Hits on their way to who asked: merged, each once, of at most so many ids, cut into frames.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/btree_map.h"
#include "common/base/ids.h"
#include "common/model/hit_limit.h"
#include "common/model/record.h"

namespace panal {

// Passes hits on, each record once by its key (publisher, kind, name), of at most `limit` different
// ids (common/model/hit_limit.h). Of two versions of a record the newer one is passed, of two peer
// records of its publisher the newer one's addresses. What was passed already is passed again when
// it turns out to be outdated, so that who asked learns better.
class HitMerger {
 public:
  explicit HitMerger(uint32_t limit) : limit_(limit) {}

  void Add(std::vector<Hit> hits);

  // Hits added and not taken yet, in the order they came first.
  std::vector<Hit> Take();

  bool HasFresh() const { return !fresh_.empty(); }

  // Whether something that matches was left out because of the limit.
  bool truncated() const { return truncated_; }

  size_t passed() const { return seen_.size(); }

  // Different ids among what was passed.
  size_t ids() const { return limit_.ids(); }

 private:
  struct Seen {
    uint64_t version = 0;
    uint64_t publisher_version = 0;
    Sha256Digest id;
    size_t taken = 0;     // Takes before it was put into fresh_: whether it is still there.
    size_t fresh_at = 0;  // Its place in fresh_ then.
  };

  void AddOne(Hit hit);
  // Puts a hit that outdates what was seen into its place.
  void Replace(Seen& seen, Hit hit);

  HitLimit limit_;
  bool truncated_ = false;
  absl::btree_map<Sha256Digest, Seen> seen_;
  std::vector<Hit> fresh_;
  size_t takes_ = 0;
};

// Names the record of a hit: a digest of publisher, kind and name.
Sha256Digest RecordKeyOf(const Hit& hit);

// `hits` in parts that fit an answer each: at most kAnswerHitsMax hits and kAnswerHitsSizeMax
// bytes. At least one part, which may be empty.
std::vector<std::vector<Hit>> SplitIntoAnswers(std::vector<Hit> hits);

}  // namespace panal
