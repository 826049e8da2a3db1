#include "common/base/heap.h"

#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace panal {
namespace {

// glibc refuses a larger one. Twice the largest block.
[[maybe_unused]] constexpr int kMapThreshold = 32 * 1024 * 1024;
[[maybe_unused]] constexpr int kTrimThreshold = 64 * 1024 * 1024;

}  // namespace

void KeepFreedMemory() {
#ifdef __GLIBC__
  if (std::getenv("MALLOC_TRIM_THRESHOLD_") != nullptr) return;
  mallopt(M_MMAP_THRESHOLD, kMapThreshold);
  mallopt(M_TRIM_THRESHOLD, kTrimThreshold);
#endif
}

void GiveBackFreeMemory() {
#ifdef __GLIBC__
  if (mallinfo2().fordblks > kFreeMemoryMax) malloc_trim(/*pad=*/0);
#endif
}

}  // namespace panal
