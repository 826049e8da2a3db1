// One router for every call, wherever it came from (docs/protocol/objects.md).
//
// Specification:
// - R1. A program's call goes where `panal-object` says: a reference to this peer to a servant
//   here, one to another peer over that peer's Call stream. `panal://<peer-id>` alone stands for
//   the object of the method's service with an empty key. Without the metadata key the service of
//   the method is looked for among the objects of this peer whose key is empty.
// - R2. A peer's call goes where CallHead.reference says, and only to this peer: one that names yet
//   another peer is OBJECT_NOT_FOUND, so that no call travels in a loop.
// - R3. A reference whose service is not the method's is REFERENCE_INVALID. Reflection and health
//   may be called on any reference: they describe the peer that the reference names.
// - R4. `panal-` keys are for routers: no other peer sees them.
// - R5. The streams between peers (Link, Call, Blocks) are no object calls: METHOD_NOT_FOUND.
// - R6. A call to another peer is spliced with one message under way each way, so that a slow end
//   slows the other one down; metadata, half close, status, details, deadline and cancellation are
//   kept.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/model/object_ref.h"
#include "server/application/call.h"
#include "server/application/servant.h"

namespace panal {

// Metadata key that names the object a program calls.
inline constexpr char kObjectKey[] = "panal-object";
// Metadata key that will find the object by a query. Answered with METHOD_NOT_FOUND so far.
inline constexpr char kFindKey[] = "panal-find";
// Objects of one peer. Guess: each addition copies the table, and reflection lists it.
inline constexpr size_t kObjectsMax = 1024;

// Thread-safe. Route neither blocks nor locks longer than it takes to copy a pointer.
class Router final {
 public:
  // `calls` may be null (then no other peer can be reached) and must outlive the router.
  Router(PeerId self, PeerCalls* calls);

  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  // Takes the call over and sees to it that it is finished.
  void Route(const CallPtr& call) const;

  // Makes `servant` answer for `panal://<self>/<its service>/<key>`. Calls under way are not
  // touched. Errors: ARGUMENT_INVALID (there is one already), OVERLOADED (kObjectsMax).
  absl::Status Add(ServantPtr servant, absl::string_view key = "");
  // The same, in the place of the servant that is there.
  void Replace(ServantPtr servant);
  // What this peer answers for, ascending.
  std::vector<ObjectRef> Objects() const;
  // Services among them, ascending, each once.
  std::vector<std::string> Services() const;

  const PeerId& self() const { return self_; }

  // Sets the way to other peers, where it is not known yet at construction.
  void SetPeerCalls(PeerCalls* calls);

 private:
  // By service, then key. Immutable once published: a call works on the snapshot it began with.
  struct Routes {
    std::map<std::pair<std::string, std::string>, ServantPtr> servants;
    PeerCalls* calls = nullptr;
  };

  std::shared_ptr<const Routes> routes() const;
  absl::Status RouteTo(const CallPtr& call, absl::string_view reference) const;
  absl::Status ServeHere(const CallPtr& call, absl::string_view service, absl::string_view method,
                         absl::string_view key) const;

  const PeerId self_;
  mutable Mutex mutex_;
  // Shared by the router and the calls being routed.
  std::shared_ptr<const Routes> routes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
