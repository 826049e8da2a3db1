// Object calls of both directions over one Call stream between two peers.
//
// Specification (docs/protocol/objects.md):
// - M1. The dialler's calls have odd ids, the acceptor's even ones; each side's ids rise. A
//   CallOpen whose id does not rise or has the wrong parity ends the stream with FRAME_INVALID, as
//   does every frame that its side may not send. Frames for calls that are not open are ignored:
//   the two ends of a call do not end at the same moment.
// - M2. What queued while a batch was being written goes out as the next batch: at most
//   kBatchFramesMax frames and kBatchSizeMax bytes, the calls in turn, one frame each.
// - M3. Each side has at most `calls_max` calls open that it began; one more is answered with
//   OVERLOADED. A call counts until its servant let go of it, cancelled or not.
// - M4. When the stream ends, every call ends: CONNECTION_LOST when its CallOpen had been handed
//   to the stream, PEER_UNREACHABLE (or what the dial failed with) when not: then nothing was
//   executed.
//
// Exists before its stream: calls that are opened while the peer is looked up and dialled wait
// here.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/rpc/mesh_admission.h"
#include "panal/v1/frames.pb.h"
#include "server/application/call.h"
#include "server/runtime/call_state.h"
#include "server/runtime/deadline_timer.h"

namespace panal {

// Calls that each side may have open on one stream. Guess: with a full window each, 256 MiB.
inline constexpr size_t kCallsPerStreamMax = 1024;
// Refused calls whose answer waits to be written. A peer that reads none of them is cut off.
inline constexpr size_t kCallRefusalsMax = 1024;

// A call that has ended with `why`.
OutgoingCallPtr FailedCall(const absl::Status& why);

// What carries batches: a gRPC stream.
class CallTransport {
 public:
  virtual ~CallTransport() = default;
  // Writes `batch`; CallMux::OnWritten follows unless the stream ends. One at a time.
  virtual void WriteBatch(const v1::CallBatch& batch) = 0;
  // Ends the stream at once; CallMux::OnClosed follows.
  virtual void End(const absl::Status& why) = 0;
  // Ends the stream in good order, without calls on it. Dialler only.
  virtual void EndIdle() = 0;
};

struct CallMuxOptions {
  PeerId peer;
  bool dialled = false;
  size_t calls_max = kCallsPerStreamMax;
  size_t refusals_max = kCallRefusalsMax;
  size_t assembly_max = kCallAssemblyMax;  // Bytes.
  size_t waiting_max = kCallWaitingMax;    // Bytes.
  // A dialled stream without calls is ended after this long.
  absl::Duration idle_max = absl::Minutes(5);
};

// Thread-safe; no method blocks. Callbacks of calls and `route` come on whichever thread brought
// them about, without a lock held. Shared by its CallStreams, its transport and its calls.
class CallMux final : public std::enable_shared_from_this<CallMux> {
 public:
  // `route` gets the other peer's calls; it and `timer` must live until OnClosed has returned.
  CallMux(const CallMuxOptions& options, std::function<void(CallPtr)> route, DeadlineTimer& timer);

  CallMux(const CallMux&) = delete;
  CallMux& operator=(const CallMux&) = delete;

  const PeerId& peer() const { return options_.peer; }

  // What admitted the other end; null until it was.
  CredentialPtr credential() const;
  void Admitted(CredentialPtr credential);

  // Begins a call. `head.reference` names the object. Null: this stream takes no more calls, open
  // another one.
  OutgoingCallPtr Open(CallHead head);

  // --- The transport's side ---

  // `transport` is about to be opened, so that End can end it. False: it is not wanted any more.
  bool Attach(std::shared_ptr<CallTransport> transport);
  // The transport attached last is open: the other end has admitted this peer. Batches may be
  // written.
  void OnOpened();
  // Error: FRAME_INVALID or FRAME_TOO_LARGE; end the stream with it.
  absl::Status OnBatch(const v1::CallBatch& batch);
  void OnWritten();
  // The stream has ended or could not be opened. `nothing_executed`: calls that were sent were not
  // looked at either. Once; nothing may come after it.
  void OnClosed(const absl::Status& why, bool nothing_executed);

  // Ends the stream, or the wait for it.
  void End(const absl::Status& why);

  // Calls in the table, those that this side began and the others. For tests.
  size_t open_calls() const;

 private:
  friend class MuxInboundCall;
  friend class MuxOutgoingCall;

  // Guarded by mutex_, all of it.
  struct Entry {
    Entry(uint64_t id, CallState::Role role, CallHead head, CallAssembly* assembly)
        : state(id, role, std::move(head), assembly) {}

    CallState state;
    bool in_table = false;
    bool queued = false;      // In ready_.
    bool delivering = false;  // A thread is telling the owner what there is to tell.
    DeadlineTimer::Token deadline = 0;
  };

  using EntryPtr = std::shared_ptr<Entry>;  // Of the table and the owner's Call or OutgoingCall.

  // What a batch from the other side brought about.
  struct Batched {
    std::vector<EntryPtr> touched;
    std::vector<EntryPtr> opened;
  };

  // Runs `change` under the lock, then tells the owner and the stream what came of it.
  void Change(const EntryPtr& call, absl::FunctionRef<void(CallState&)> change);
  // Tells the owner what there is to tell, in order: one thread at a time for one call.
  void Deliver(const EntryPtr& call);
  void Flush();
  void Pack(v1::CallBatch& batch, std::vector<EntryPtr>& packed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Touch(const EntryPtr& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Insert(const EntryPtr& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(Entry& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status OnFrame(const v1::CallFrame& frame, Batched& batched)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status OnOpen(const v1::CallFrame& frame, Batched& batched)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  bool IsOwn(uint64_t id) const { return (id % 2 == 1) == options_.dialled; }

  void WatchIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnIdle();
  absl::Status LossOf(const CallState& call, const absl::Status& why, bool nothing_executed) const;

  const CallMuxOptions options_;
  const std::function<void(CallPtr)> route_;
  DeadlineTimer& timer_;

  mutable Mutex mutex_;
  CredentialPtr credential_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<CallTransport> transport_ ABSL_GUARDED_BY(mutex_);
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool corked_ ABSL_GUARDED_BY(mutex_) = false;  // A batch is being acted on: what it brings waits.
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;  // No new calls.
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  CallAssembly assembly_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, EntryPtr> calls_ ABSL_GUARDED_BY(mutex_);
  std::deque<uint64_t> ready_ ABSL_GUARDED_BY(mutex_);  // Calls with something to send, in turn.
  std::deque<uint64_t> refused_ ABSL_GUARDED_BY(mutex_);
  size_t own_calls_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t their_calls_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_their_id_ ABSL_GUARDED_BY(mutex_) = 0;
  DeadlineTimer::Token idle_token_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace panal
