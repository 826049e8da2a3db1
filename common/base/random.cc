#include "common/base/random.h"

#include <sys/random.h>

#include "common/base/check.h"

namespace panal {
namespace {

uint64_t RotateLeft(uint64_t value, int bits) { return (value << bits) | (value >> (64 - bits)); }

}  // namespace

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) {
    seed += 0x9e3779b97f4a7c15;
    word = Mix64(seed);
  }
}

uint64_t Random::Next() {
  uint64_t result = RotateLeft(state_[1] * 5, 7) * 9;
  uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = RotateLeft(state_[3], 45);
  return result;
}

// Lemire, "Fast random integer generation in an interval", 2019: a multiplication, and a division
// only where the result might be biased.
uint64_t Random::Below(uint64_t bound) {
  PANAL_CHECK(bound > 0);
  auto product = static_cast<unsigned __int128>(Next()) * bound;
  if (static_cast<uint64_t>(product) < bound) {
    uint64_t threshold = -bound % bound;
    while (static_cast<uint64_t>(product) < threshold) {
      product = static_cast<unsigned __int128>(Next()) * bound;
    }
  }
  return static_cast<uint64_t>(product >> 64);
}

double Random::Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

std::string Random::Bytes(size_t count) {
  std::string bytes(count, '\0');
  uint64_t word = 0;
  for (size_t i = 0; i < count; ++i) {
    if (i % 8 == 0) word = Next();
    bytes[i] = static_cast<char>(word >> (i % 8 * 8));
  }
  return bytes;
}

Random Random::Fork() { return Random(Next()); }

uint64_t Mix64(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

uint64_t RandomSeedFromSystem() {
  uint64_t seed = 0;
  ssize_t size = getrandom(&seed, sizeof(seed), 0);
  PANAL_CHECK(size == static_cast<ssize_t>(sizeof(seed)));
  return seed;
}

}  // namespace panal
