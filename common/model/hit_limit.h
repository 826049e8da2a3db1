// How many hits a search gives back. Its limit counts what was found, not who has it: a file that
// many peers publish is one of `limit`, and its publishers are told beside it
// (docs/protocol/bubbles.md, section 5). The index of a peer, every peer on the way and the
// searching peer count alike.
#pragma once

#include <cstdint>
#include <map>

#include "common/base/ids.h"
#include "common/model/record.h"

namespace panal {

// Publishers told of one id. As many sources as a fetch remembers.
inline constexpr size_t kPublishersPerIdMax = 64;
// Names under which one publisher is told to have one id. Guess: more say nothing about the
// content.
inline constexpr size_t kNamesPerPublisherMax = 8;
// Hits of one search in all, whatever its limit: 16 MiB at 400 bytes each.
inline constexpr size_t kSearchHitsMax = 40'000;

// Not thread-safe.
class HitLimit {
 public:
  enum class Verdict : uint8_t {
    kTaken,
    kSurplus,  // Its id has enough publishers, or its publisher enough names for it.
    kFull,     // It would be one id, or one hit, too many.
  };

  // `limit`: ids at most.
  explicit HitLimit(uint32_t limit) : limit_(limit) {}

  // Counts `hit` if there is room. REQUIRES: it was not taken before.
  Verdict Take(const Hit& hit);
  // Gives back the room of a hit that was taken.
  void Release(const Hit& hit);

  size_t hits() const { return hits_; }

  // Different ids among them.
  size_t ids() const { return names_.size(); }

 private:
  // The record's id; of an object, which has none, a digest of its publisher and name.
  static Sha256Digest IdOf(const Hit& hit);

  uint32_t limit_;
  size_t hits_ = 0;
  std::map<Sha256Digest, std::map<PeerId, size_t>> names_;  // By id and publisher.
};

}  // namespace panal
