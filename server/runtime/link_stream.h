// One PeerObject/Link stream, dialled or accepted: what the two reactors have in common. Queues
// frames to be written, decodes frames that come, and ends exactly once. Knows nothing of other
// streams.
//
// The two ends differ in how a gRPC call ends: see dialled_link.h and accepted_link.h.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/sync.h"
#include "common/model/frame.h"
#include "common/rpc/mesh_admission.h"
#include "server/runtime/link_table.h"
#include "server/runtime/links.h"
#include "server/runtime/send_queue.h"

namespace panal {

class LinkStream;
// Shared by gRPC (until OnDone), the owner's table and whoever uses the stream at the moment.
using LinkStreamPtr = std::shared_ptr<LinkStream>;

// What becomes of a stream. Called on gRPC's threads with no lock held.
class LinkStreamOwner {
 public:
  virtual ~LinkStreamOwner() = default;
  // The first frame. The owner calls ReadNext once it was dealt with.
  virtual void OnHello(const LinkStreamPtr& stream, Hello hello) = 0;
  // A later frame. The owner calls ReadNext once it was delivered.
  virtual void OnFrame(const LinkStreamPtr& stream, Frame frame) = 0;
  // The time that SetTimer gave is over.
  virtual void OnTimer(const LinkStreamPtr& stream) = 0;
  // A later frame of a case that is not known, or of none (`empty`). As OnFrame.
  virtual void OnUnknownFrame(const LinkStreamPtr& stream, bool empty) = 0;
  // A message that is no frame, or a Hello out of place. The stream is ended then.
  virtual void OnBadFrame(const LinkStreamPtr& stream) = 0;
  // Once, last. `why` is not OK.
  virtual void OnEnded(const LinkStreamPtr& stream, absl::Status why) = 0;
};

// Thread-safe; no method blocks.
class LinkStream : public std::enable_shared_from_this<LinkStream> {
 public:
  virtual ~LinkStream() = default;
  LinkStream(const LinkStream&) = delete;
  LinkStream& operator=(const LinkStream&) = delete;

  LinkStreamId id() const { return id_; }

  const PeerId& peer() const { return peer_; }

  bool outbound() const { return outbound_; }

  // What admitted the other end; null until it was.
  CredentialPtr credential() const;
  // Ends a stream whose other end is admitted no longer: says why, and at the second time does not
  // wait for that to be read.
  void Expel(const absl::Status& why);

  // Queues an encoded frame, behind those as urgent. False when it would make more than
  // kLinkQueueMax bytes wait; nothing is queued then. True, and dropped, when the stream is ending.
  bool Send(std::string frame, Urgency urgency = Urgency::kControl);

  // Reads the next frame, after OnHello or OnFrame.
  void ReadNext();

  // Ends the stream once what is queued was written; at once when it was dialled and is not
  // answered.
  void Close(absl::Status why);
  // Ends the stream at once.
  void Abort(absl::Status why);

  // Calls OnTimer after `delay`, unless the stream ends or SetTimer is called again before.
  void SetTimer(absl::Duration delay);

 protected:
  LinkStream(LinkStreamOwner& owner, LinkStreamId id, const PeerId& peer, bool outbound)
      : owner_(owner), id_(id), peer_(peer), outbound_(outbound) {}

  // What the reactor does. Each is called with the stream pinned and no lock held.
  virtual void StartReading(grpc::ByteBuffer* buffer) = 0;
  virtual void StartWriting(const grpc::ByteBuffer* buffer) = 0;
  // Everything is written. The dialler says so to the acceptor; the acceptor does nothing.
  virtual void WritesOver() = 0;
  virtual void CancelCall() = 0;
  // Lets gRPC end the call: OnDone follows. Once.
  virtual void EndCall(const absl::Status& why) = 0;

  void Admitted(CredentialPtr credential);

  // What the reactor reports.
  void ReadDone(bool ok);
  void WriteDone(bool ok);
  // gRPC gave the call up: writes that wait have no meaning any more.
  void Broken();
  // In OnDone. `why`: what gRPC says, used when this end gave no reason.
  void Done(const absl::Status& why);

  // Keeps EndCall away while gRPC's object is used from outside a reaction. False: EndCall was
  // called.
  bool Pin();
  void Unpin();

  grpc::ByteBuffer incoming_;

 private:
  enum class Stage : uint8_t { kAwaitingHello, kFrames };

  // Deals with a message that was read; takes over the caller's pin.
  void Receive();
  // The stage before this frame; the next one is kFrames.
  Stage Advance();
  void Refuse(absl::Status why);
  void NextWrite();
  bool MayEnd() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  LinkStreamOwner& owner_;
  const LinkStreamId id_;
  const PeerId peer_;
  const bool outbound_;
  grpc::ByteBuffer outgoing_;  // Belongs to the write under way.

  mutable Mutex mutex_;
  CredentialPtr credential_ ABSL_GUARDED_BY(mutex_);
  Stage stage_ ABSL_GUARDED_BY(mutex_) = Stage::kAwaitingHello;
  SendQueue queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // The frame being written included.
  size_t writing_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool writes_over_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool reads_over_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  int pins_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);  // This end's reason, the first one.
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace panal
