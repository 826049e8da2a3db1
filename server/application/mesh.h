// What the servants need of the peer they stand in; implemented by server/runtime/node.cc.
//
// Thread-safe; no method blocks. Callbacks come on the node loop or a worker and must not block.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/identity/credential.h"
#include "common/model/record.h"
#include "server/processing/core.h"

namespace panal {

struct PeerStatus {
  PeerId id;
  std::string public_key;  // 32 bytes.
  std::string mesh_name;
  MeshId mesh_id;
  std::string version;
  int neighbors = 0;
  int64_t mesh_size = 1;
  absl::Duration uptime;
  std::vector<std::string> addresses;
  double capacity = 1.0;
  int fetches = 0;
  MeshPolicy policy = MeshPolicy::kOpen;
  std::optional<Role> role;  // None: it waits to be let in.
  absl::Time credential_expires = absl::InfiniteFuture();
};

struct NeighborInfo {
  PeerContact contact;
  bool outbound = false;
  absl::Duration connected;
  std::string version;
};

// One thing that `doctor` examined.
struct Finding {
  enum class Severity : uint8_t { kOk, kWarning, kError };
  Severity severity = Severity::kOk;
  std::string subject;
  std::string message;
  std::string advice;
};

struct SearchHandlers {
  std::function<void(std::vector<Hit>)> on_hits;
  std::function<void(const SearchSummary&)> on_done;  // Once, last.
};

struct SubscriptionHandlers {
  // What comes from here on is told. `known_truncated`: some of what was there may be too.
  std::function<void(bool known_truncated)> on_begun;
  std::function<void(std::vector<Hit>)> on_hits;
  std::function<void(const SearchSummary&)> on_round;
  std::function<void(SubscriptionEnd)> on_ended;  // Once, last; not when it was cancelled.
};

struct FetchProgress {
  uint64_t held_bytes = 0;
  uint64_t total_bytes = 0;
  uint64_t received_bytes = 0;
  int sources = 0;
  uint64_t files_done = 0;
  uint64_t files_total = 0;
  std::string waiting;
  std::string name;
  std::string kind;
  uint64_t peers_asked = 0;
};

struct FetchRequest {
  FileId id;
  std::vector<PeerId> sources;                 // Known in advance.
  absl::Duration timeout = absl::Seconds(10);  // To find a source before giving up.
  std::string name;  // To publish it under. Empty: the name its publisher gave it.
  // Makes whole again what was damaged here; published is nothing more than before.
  bool repair = false;
};

struct FetchHandlers {
  // At most a few times a second.
  std::function<void(const FetchProgress&)> on_progress;
  // Once, last: everything is verified, durable and published, or why not.
  std::function<void(const absl::Status&, const FetchProgress&)> on_done;
};

class Mesh {
 public:
  virtual ~Mesh() = default;

  virtual PeerStatus Status() = 0;
  virtual std::vector<NeighborInfo> Neighbors() = 0;  // Ascending ids.

  // Starts a search; `query` parses. Returns a number for CancelSearch; on_done always comes unless
  // cancelled. 0: this peer has too much to do; nothing was started and no handler is called.
  // `enough`: see SearchRequested.
  virtual uint64_t StartSearch(absl::string_view query, double recall, uint32_t limit,
                               uint32_t enough, absl::Duration timeout,
                               SearchHandlers handlers) = 0;
  virtual void CancelSearch(uint64_t search) = 0;

  // Starts a subscription; `query` parses. Returns a number for CancelSubscription. 0: this peer
  // has too much to do; nothing was started and no handler is called.
  virtual uint64_t StartSubscription(absl::string_view query, double recall, absl::Duration timeout,
                                     SubscriptionHandlers handlers) = 0;
  virtual void CancelSubscription(uint64_t subscription) = 0;

  // Starts a fetch, or joins the one under way for the same file.
  virtual uint64_t StartFetch(FetchRequest request, FetchHandlers handlers) = 0;
  // Ends this caller's interest; the last one stops the fetch. What was fetched stays.
  virtual void CancelFetch(uint64_t fetch) = 0;

  // Own records changed. Once it returns, a search that asks this peer finds what was published,
  // and the pages are on their way to others. Blocking (disk): call from a worker.
  virtual void SpreadChanges() = 0;

  // Looks for the one peer whose id begins with `prefix`: itself, neighbors, catalog, then the
  // mesh. Errors: PEER_ID_INVALID, PEER_UNKNOWN, PEER_AMBIGUOUS.
  virtual void ResolvePeer(std::string prefix,
                           std::function<void(absl::StatusOr<PeerContact>)> done) = 0;

  // Blocking (disk): call from a worker.
  virtual std::vector<Finding> Diagnose() = 0;
};

}  // namespace panal
