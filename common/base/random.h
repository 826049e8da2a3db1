// Deterministic random numbers: same seed, same sequence, on every machine.
// xoshiro256** 1.0 (Blackman, Vigna: "Scrambled linear pseudorandom number generators", 2018),
// seeded by SplitMix64. Not for secrets.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace panal {

// Not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed);

  // Next 64 bits.
  uint64_t Next();
  // Uniform in [0, bound). REQUIRES: bound > 0.
  uint64_t Below(uint64_t bound);
  // Uniform in [0, 1).
  double Unit();
  // `count` random bytes.
  std::string Bytes(size_t count);
  // An independent generator, for a part that must not disturb this one's sequence.
  Random Fork();

  // Fisher-Yates.
  template <typename T>
  void Shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[Below(i)]);
  }

 private:
  uint64_t state_[4];
};

// Mixes 64 bits into 64 well-distributed bits (SplitMix64's finalizer).
uint64_t Mix64(uint64_t value);

// A seed from the operating system, for running peers. The simulator passes its own.
uint64_t RandomSeedFromSystem();

}  // namespace panal
