// One fetch: which block to ask from which source. Sans-IO: no bytes pass here, only indexes.
//
// Rarest block first (fewest sources that hold it; ties by the generator), from the source with the
// fewest wants under way, a bounded window of wants a source. A want that is not answered in time,
// is refused or whose block is corrupt goes to another source; a source that sent a corrupt block
// is dropped for this fetch and the reason kept. A source that is itself receiving is asked now and
// then what it holds.
//
// End game: when no block is unasked, a source that has nothing left to do is asked for a block that
// another one is late with, one block at a time and no block of more than two sources. Late is a
// want that is end_game_wait old and whose source is silent, or by its pace needs for what it was
// asked, end_game_gain times as long as the idle one takes for a block. So equal sources send every
// block once.
//
// In time: a source is silent when it has sent no block for as long as a block may take, by its
// size and the pace of the source so far (BlockWait). Its wants then go to others, and a source
// that is silent kSilencesMax times in a row is dropped.
//
// Driver: performs outputs in order; reports BlockStored only after the block was verified and
// written. Not thread-safe; the node loop owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/random.h"

namespace panal {

struct FetchOptions {
  // Wants under way per source and per fetch. 16 blocks of 256 KiB keep 4 MiB in flight: the
  // bandwidth-delay product of 1 Gbit/s at 32 ms.
  int wants_per_source_max = 16;
  int wants_max = 64;
  // Sources used at once; further ones wait as spares.
  int sources_max = 8;
  // Sources remembered for a fetch.
  int known_sources_max = 64;
  // Bounds of how long a block may take. The lower one: a line that stalls. The upper one: a block
  // of 16 MiB at 56 KiB/s; slower sources are not worth their place. Guesses.
  absl::Duration block_wait_min = absl::Seconds(15);
  absl::Duration block_wait_max = absl::Minutes(5);
  // Bytes a second that are expected of a source that has sent nothing yet. Guess: a slow uplink.
  uint64_t first_rate_bytes = 64 * 1024;
  // A block may take so many times what the source's blocks took. Guess: a line shared with others.
  int block_wait_factor = 4;
  // End game, see above. Guesses: a second is nothing to a user; a block asked twice costs its bytes.
  absl::Duration end_game_wait = absl::Seconds(1);
  int end_game_gain = 4;
  // A source that holds a part is asked again what it holds after this long. Guess: its manifest,
  // 128 KiB at most, costs little beside the blocks of that time.
  absl::Duration refresh_interval = absl::Seconds(10);

  absl::Status Validate() const;
};

// Inputs.
struct SourceAdded {
  PeerId source;
};

// The source's answer to OpenSource or RefreshSource: what it holds. Empty: everything.
struct SourceReady {
  PeerId source;
  std::vector<bool> held;
};

struct SourceFailed {
  PeerId source;
  std::string why;
};

struct BlockStored {
  PeerId source;
  uint32_t index = 0;
};
enum class BlockFailure : uint8_t { kCorrupt, kRefused, kLocal };

struct BlockFailed {
  PeerId source;
  uint32_t index = 0;
  BlockFailure failure = BlockFailure::kRefused;
};

struct FetchTick {};  // At least once a second while the fetch is under way.

using FetchInput =
    std::variant<SourceAdded, SourceReady, SourceFailed, BlockStored, BlockFailed, FetchTick>;

// Outputs.
struct OpenSource {
  PeerId source;
};

// Ask the source anew what it holds.
struct RefreshSource {
  PeerId source;
};

struct WantBlock {
  PeerId source;
  uint32_t index = 0;
};

struct CloseSource {
  PeerId source;
  std::string why;
};

// Every block is stored.
struct FetchComplete {};

// No source is left and none is being opened: more must be found.
struct SourcesExhausted {
  std::string why;
};

using FetchOutput = std::variant<OpenSource, RefreshSource, WantBlock, CloseSource, FetchComplete,
                                 SourcesExhausted>;

// Silences in a row after which a source is dropped. Guess: one may be a line that broke for a
// moment.
inline constexpr int kSilencesMax = 2;

class Fetch {
 public:
  virtual ~Fetch() = default;

  // `held`: blocks that are here already, one entry a block. `block_size_bytes`: of every block but
  // the last. `random` must outlive the fetch.
  static std::unique_ptr<Fetch> Create(std::vector<bool> held, uint32_t block_size_bytes,
                                       const FetchOptions& options, Random& random);

  virtual void Handle(const FetchInput& input, absl::Time now,
                      std::vector<FetchOutput>& outputs) = 0;

  virtual bool complete() const = 0;
  // Sources that sent at least one block.
  virtual int sources_used() const = 0;
  // Sources ready or opening now.
  virtual int sources_open() const = 0;
  virtual void CheckInvariants() const = 0;
};

}  // namespace panal
