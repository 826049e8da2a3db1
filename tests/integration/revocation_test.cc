// What becomes of open streams, and of new ones, when one of two peers is revoked: real ports, real
// TLS.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/status.h"
#include "common/model/revocations.h"
#include "common/wire/status_codec.h"
#include "tests/integration/mesh_peer.h"
#include "tests/integration/stream_peer.h"
#include "tests/unit/identity/invite_chain.h"

namespace panal {
namespace {

using Kind = LinkEvent::Kind;

constexpr char kReference[] = "panal://somebody/t.S/key";

// Keeps the calls that it gets, neither read nor answered.
class Holder {
 public:
  std::function<void(CallPtr)> route() {
    return [this](CallPtr call) {
      call->OnCancel([this] { cancelled.Set(); });
      MutexLock lock(&mutex_);
      calls_.push_back(std::move(call));
      held.Set();
    };
  }

  Signal held;
  Signal cancelled;

 private:
  Mutex mutex_;
  std::vector<CallPtr> calls_ ABSL_GUARDED_BY(mutex_);
};

// A Blocks stream to another peer.
struct Reader {
  void Open(MeshPeer& from, const PeerContact& source) {
    BlocksEvents events;
    events.on_refused = [this](FileId, bool, uint32_t, std::string) { answered.Set(); };
    events.on_closed = [this](absl::Status status) {
      {
        MutexLock lock(&mutex);
        why = std::move(status);
      }
      closed.Set();
    };
    stream = *from.port().blocks().Open(source, std::move(events));
    stream->WantManifest(FileId());
  }

  ErrorReason WaitClosed() {
    EXPECT_TRUE(closed.Wait());
    MutexLock lock(&mutex);
    return ReasonOf(why);
  }

  Signal answered;
  Signal closed;
  Mutex mutex;
  absl::Status why ABSL_GUARDED_BY(mutex);
  std::unique_ptr<BlocksStream> stream;
};

MeshPeer::Options MemberOf(char peer, std::function<void(CallPtr)> route) {
  MeshPeer::Options options;
  options.rules = {.policy = MeshPolicy::kInvite,
                   .mesh = TestMesh(),
                   .credential = EncodeChain(MakeChain({{peer, Role::kAdmin}})),
                   .now = [] { return kTestNow; }};
  options.route = std::move(route);
  return options;
}

// Peer `a` holds `b` for revoked in the end; `b` knows nothing of it.
class RevocationTest : public testing::Test {
 protected:
  void SetUp() override {
    a_.Know(b_.contact());
    b_.Know(a_.contact());
  }

  void Revoke() {
    auto fact = std::make_shared<VerifiedFact>();
    fact->body = Revocation{.target = b_.id(), .reason = "gone"};
    fact->time = kTestNow;
    a_.admission().SetRevocations(std::make_shared<const Revocations>(std::vector<FactPtr>{fact}));
    a_.port().Recheck();
  }

  static CallDriver Call(MeshPeer& from, const MeshPeer& to) {
    return CallDriver(from.port().calls().Open(to.id(), kReference, {.method = "/t.S/Hold"}));
  }

  static ErrorReason EndOf(CallDriver& call) {
    const CallResult result = call.Finish();
    return ReasonOf(DecodeStatusDetails(result.code, result.message, result.details));
  }

  Holder at_a_;
  Holder at_b_;
  MeshPeer a_{MemberOf('a', at_a_.route()), TestKey('a')};
  MeshPeer b_{MemberOf('b', at_b_.route()), TestKey('b')};
};

TEST_F(RevocationTest, EndsEveryOpenStreamEitherWay) {
  b_.links().Dial(a_.contact());
  ASSERT_TRUE(a_.WaitFor(Kind::kUp, b_.id(), 1));
  ASSERT_TRUE(b_.WaitFor(Kind::kUp, a_.id(), 1));
  CallDriver to_a = Call(b_, a_);
  ASSERT_TRUE(at_a_.held.Wait());
  CallDriver to_b = Call(a_, b_);
  ASSERT_TRUE(at_b_.held.Wait());
  Reader from_a;
  from_a.Open(b_, a_.contact());
  ASSERT_TRUE(from_a.answered.Wait());
  Reader from_b;
  from_b.Open(a_, b_.contact());
  ASSERT_TRUE(from_b.answered.Wait());

  Revoke();

  ASSERT_TRUE(a_.WaitFor(Kind::kLost, b_.id(), 1));
  ASSERT_TRUE(b_.WaitFor(Kind::kLost, a_.id(), 1));
  const absl::Status told = b_.Last(Kind::kLost, a_.id()).why;
  EXPECT_EQ(ReasonOf(told), ErrorReason::kCredentialRevoked);
  EXPECT_TRUE(absl::StrContains(told.message(), "was revoked at 2027-01-15 08:00:00 UTC: gone"));
  // They may have been executed.
  EXPECT_EQ(EndOf(to_a), ErrorReason::kConnectionLost);
  EXPECT_EQ(EndOf(to_b), ErrorReason::kConnectionLost);
  EXPECT_TRUE(at_a_.cancelled.Wait());
  EXPECT_TRUE(at_b_.cancelled.Wait());
  EXPECT_EQ(from_a.WaitClosed(), ErrorReason::kCredentialRevoked);
  EXPECT_EQ(from_b.WaitClosed(), ErrorReason::kCredentialRevoked);
}

TEST_F(RevocationTest, RefusesNewStreamsEitherWay) {
  Revoke();

  b_.links().Dial(a_.contact());
  ASSERT_TRUE(b_.WaitFor(Kind::kDialFailed, a_.id(), 1));
  EXPECT_EQ(ReasonOf(b_.Last(Kind::kDialFailed, a_.id()).why), ErrorReason::kCredentialRevoked);
  a_.links().Dial(b_.contact());
  ASSERT_TRUE(a_.WaitFor(Kind::kDialFailed, b_.id(), 1));
  EXPECT_EQ(ReasonOf(a_.Last(Kind::kDialFailed, b_.id()).why), ErrorReason::kCredentialRevoked);
  CallDriver to_a = Call(b_, a_);
  EXPECT_EQ(EndOf(to_a), ErrorReason::kCredentialRevoked);
  CallDriver to_b = Call(a_, b_);
  EXPECT_EQ(EndOf(to_b), ErrorReason::kCredentialRevoked);
  Reader from_a;
  from_a.Open(b_, a_.contact());
  EXPECT_EQ(from_a.WaitClosed(), ErrorReason::kCredentialRevoked);
  Reader from_b;
  from_b.Open(a_, b_.contact());
  EXPECT_EQ(from_b.WaitClosed(), ErrorReason::kCredentialRevoked);
  EXPECT_FALSE(at_a_.held.IsSet());
  EXPECT_FALSE(at_b_.held.IsSet());
  EXPECT_EQ(a_.Count(Kind::kUp, b_.id()), 0);
}

}  // namespace
}  // namespace panal
