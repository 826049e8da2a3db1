// How the process keeps its heap.
#pragma once

#include <cstddef>

namespace panal {

// Bytes that are free and kept for what comes. Guess: two heaps as full as KeepFreedMemory says.
inline constexpr size_t kFreeMemoryMax = 128 * 1024 * 1024;

// Tells the allocator to keep what is freed, up to 64 MiB a heap, instead of giving it back to the
// system at once. Blocks and what gRPC makes of them come and go all the time; by default glibc
// returns every one and takes page faults for the next. What that costs depends on the machine,
// most on virtual ones: compare tests/bench/blocks_bench.cc with MALLOC_TRIM_THRESHOLD_=131072 and
// without it. Call it first in main. Does nothing where the
// environment already says how (MALLOC_TRIM_THRESHOLD_), or without glibc.
void KeepFreedMemory();

// Gives back to the system what is free, where that is more than kFreeMemoryMax in all heaps
// together: there is one for many a thread, and after a flood each would keep what it once took.
// Does nothing without glibc.
void GiveBackFreeMemory();

}  // namespace panal
