// How the process keeps its heap.
#pragma once

namespace panal {

// Tells the allocator to keep what is freed, up to 64 MiB a heap, instead of giving it back to the
// system at once. Blocks and what gRPC makes of them come and go all the time; by default glibc
// returns every one and takes page faults for the next. What that costs depends on the machine,
// most on virtual ones: compare tests/bench/blocks_bench.cc with MALLOC_TRIM_THRESHOLD_=131072 and
// without it. Call it first in main. Does nothing where the
// environment already says how (MALLOC_TRIM_THRESHOLD_), or without glibc.
void KeepFreedMemory();

}  // namespace panal
