#include "server/application/router.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "panal/v1/peer_object.pb.h"
#include "tests/unit/application/fake_call.h"

namespace panal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

PeerId Peer(uint8_t number) {
  PeerId id;
  id.bytes[0] = number;
  return id;
}

const PeerId kSelf = Peer(1);
const PeerId kOther = Peer(2);

std::string Reference(const PeerId& peer, absl::string_view service, absl::string_view key = "") {
  return ObjectRef{peer, std::string(service), std::string(key)}.ToText();
}

// Answers GetPeer with a word that tells which object answered.
class WordServant final : public Servant {
 public:
  WordServant(absl::string_view service, Dispatcher& dispatcher, std::string word)
      : Servant(service, dispatcher), word_(std::move(word)) {
    Unary("GetPeer", WorkClass::kControl, &WordServant::GetPeer);
  }

 private:
  absl::StatusOr<v1::GetPeerResponse> GetPeer(const CallHead& head, const v1::GetPeerRequest&) {
    v1::GetPeerResponse response;
    response.set_mesh(word_);
    return response;
  }

  const std::string word_;
};

class FakePeerCalls final : public PeerCalls {
 public:
  OutgoingCallPtr Open(const PeerId& peer, const std::string& reference,
                       const CallHead& head) override {
    peers.push_back(peer);
    references.push_back(reference);
    heads.push_back(head);
    call = std::make_shared<FakeOutgoingCall>();
    return call;
  }

  std::vector<PeerId> peers;
  std::vector<std::string> references;
  std::vector<CallHead> heads;
  std::shared_ptr<FakeOutgoingCall> call;
};

class RouterTest : public CallTest {
 protected:
  RouterTest() {
    Add("panal.v1.PeerObject", "", "peer");
    Add("acme.v1.Thumbnailer", "eu-1", "eu");
    Add("acme.v1.Thumbnailer", "us-1", "us");
    Add("grpc.reflection.v1.ServerReflection", "", "reflection");
  }

  void Add(absl::string_view service, absl::string_view key, const std::string& word) {
    ASSERT_TRUE(router.Add(std::make_shared<WordServant>(service, dispatcher, word), key).ok());
  }

  // Sends the call of a program and says who answered, or the reason of the refusal.
  std::string Ask(const std::shared_ptr<FakeCall>& call) {
    call->CallerSends(v1::GetPeerRequest());
    router.Route(call);
    if (!call->result.has_value()) return "under way";
    if (call->result->code != 0) return std::string(ReasonName(ReasonOf(call->status())));
    return call->Messages<v1::GetPeerResponse>().at(0).mesh();
  }

  std::string AskApi(absl::string_view method, const std::string& reference) {
    return Ask(MakeCall(method, {{kObjectKey, reference}}));
  }

  std::string AskMesh(absl::string_view method, const std::string& reference) {
    CallHead head;
    head.method = std::string(method);
    head.origin = CallOrigin::kMesh;
    head.peer = kOther;
    head.reference = reference;
    return Ask(std::make_shared<FakeCall>(head));
  }

  InlineDispatcher dispatcher;
  FakePeerCalls calls;
  Router router{kSelf, &calls};
};

constexpr char kGetPeer[] = "/panal.v1.PeerObject/GetPeer";
constexpr char kThumbnail[] = "/acme.v1.Thumbnailer/GetPeer";

TEST_F(RouterTest, ServesByServiceNameWithoutAReference) {
  EXPECT_EQ(Ask(MakeCall(kGetPeer)), "peer");
}

TEST_F(RouterTest, ServesAReferenceToThisPeerHere) {
  EXPECT_EQ(AskApi(kGetPeer, Reference(kSelf, "panal.v1.PeerObject")), "peer");
  EXPECT_EQ(AskApi(kThumbnail, Reference(kSelf, "acme.v1.Thumbnailer", "eu-1")), "eu");
  EXPECT_EQ(AskApi(kThumbnail, Reference(kSelf, "acme.v1.Thumbnailer", "us-1")), "us");
  EXPECT_THAT(calls.peers, IsEmpty());
}

TEST_F(RouterTest, TakesABarePeerForTheObjectOfTheMethod) {
  EXPECT_EQ(AskApi(kGetPeer, "panal://" + kSelf.ToText()), "peer");
  EXPECT_EQ(AskApi(kGetPeer, "panal://" + kOther.ToText() + "/"), "under way");
  EXPECT_THAT(calls.references, ElementsAre(Reference(kOther, "panal.v1.PeerObject")));
}

TEST_F(RouterTest, OpensAReferenceToAnotherPeerThere) {
  auto call = MakeCall(kGetPeer, {{kObjectKey, Reference(kOther, "panal.v1.PeerObject")},
                                  {"panal-token", "secret"},
                                  {"x-trace", "7"}});

  EXPECT_EQ(Ask(call), "under way");

  EXPECT_THAT(calls.peers, ElementsAre(kOther));
  EXPECT_THAT(calls.references, ElementsAre(Reference(kOther, "panal.v1.PeerObject")));
  EXPECT_EQ(calls.heads[0].method, kGetPeer);
  EXPECT_THAT(calls.heads[0].metadata, ElementsAre(Pair("x-trace", "7")));
}

TEST_F(RouterTest, RefusesAReferenceWhoseServiceIsNotTheMethods) {
  EXPECT_EQ(AskApi(kGetPeer, Reference(kSelf, "acme.v1.Thumbnailer", "eu-1")), "REFERENCE_INVALID");
  EXPECT_EQ(AskApi(kGetPeer, Reference(kOther, "acme.v1.Thumbnailer")), "REFERENCE_INVALID");
}

TEST_F(RouterTest, AnswersReflectionOnAnyReference) {
  const std::string reflect = "/grpc.reflection.v1.ServerReflection/GetPeer";

  EXPECT_EQ(AskApi(reflect, Reference(kSelf, "acme.v1.Thumbnailer", "eu-1")), "reflection");
  EXPECT_EQ(AskApi(reflect, Reference(kOther, "acme.v1.Thumbnailer", "eu-1")), "under way");
  EXPECT_EQ(AskMesh(reflect, Reference(kSelf, "acme.v1.Thumbnailer", "eu-1")), "reflection");
}

TEST_F(RouterTest, RefusesWhatIsNoReference) {
  EXPECT_EQ(AskApi(kGetPeer, "http://example.org/"), "REFERENCE_INVALID");
  EXPECT_EQ(AskApi(kGetPeer, "panal://short/panal.v1.PeerObject/"), "REFERENCE_INVALID");
}

TEST_F(RouterTest, RefusesTwoReferences) {
  const std::string reference = Reference(kSelf, "panal.v1.PeerObject");

  EXPECT_EQ(Ask(MakeCall(kGetPeer, {{kObjectKey, reference}, {kObjectKey, reference}})),
            "REFERENCE_INVALID");
}

TEST_F(RouterTest, SaysWhetherTheObjectOrTheMethodIsMissing) {
  EXPECT_EQ(AskApi(kThumbnail, Reference(kSelf, "acme.v1.Thumbnailer", "eu-2")),
            "OBJECT_NOT_FOUND");
  EXPECT_EQ(Ask(MakeCall("/acme.v1.Unknown/GetPeer")), "METHOD_NOT_FOUND");
  EXPECT_EQ(Ask(MakeCall("/panal.v1.PeerObject/GetPears")), "METHOD_NOT_FOUND");
}

TEST_F(RouterTest, RefusesWhatIsNoMethodName) {
  for (const char* method : {"", "/", "GetPeer", "//", "/panal.v1.PeerObject/", "/GetPeer"}) {
    EXPECT_EQ(Ask(MakeCall(method)), "METHOD_NOT_FOUND") << method;
  }
}

TEST_F(RouterTest, HidesTheStreamsBetweenPeers) {
  for (const char* method :
       {"/panal.v1.PeerObject/Link", "/panal.v1.PeerObject/Call", "/panal.v1.FileObject/Blocks"}) {
    EXPECT_EQ(Ask(MakeCall(method)), "METHOD_NOT_FOUND") << method;
    EXPECT_EQ(AskApi(method, Reference(kOther, "panal.v1.PeerObject")), "METHOD_NOT_FOUND");
    EXPECT_EQ(AskMesh(method, Reference(kSelf, "panal.v1.PeerObject")), "METHOD_NOT_FOUND");
  }
  EXPECT_THAT(calls.peers, IsEmpty());
}

TEST_F(RouterTest, SaysThatFindingByQueryIsForLater) {
  auto call = MakeCall(kGetPeer, {{kFindKey, "kind:object"}});

  EXPECT_EQ(Ask(call), "METHOD_NOT_FOUND");
  EXPECT_EQ(call->result->code, 12);
}

TEST_F(RouterTest, ServesThePeersCallByItsReferenceOnly) {
  EXPECT_EQ(AskMesh(kGetPeer, Reference(kSelf, "panal.v1.PeerObject")), "peer");
  EXPECT_EQ(AskMesh(kThumbnail, Reference(kSelf, "acme.v1.Thumbnailer", "us-1")), "us");
  EXPECT_EQ(AskMesh(kGetPeer, Reference(kOther, "panal.v1.PeerObject")), "OBJECT_NOT_FOUND");
  EXPECT_THAT(calls.peers, IsEmpty());
}

TEST_F(RouterTest, IgnoresTheMetadataKeyOfAPeersCall) {
  CallHead head;
  head.method = kGetPeer;
  head.origin = CallOrigin::kMesh;
  head.reference = Reference(kSelf, "panal.v1.PeerObject");
  head.metadata = {{kObjectKey, Reference(kOther, "panal.v1.PeerObject")}};

  EXPECT_EQ(Ask(std::make_shared<FakeCall>(head)), "peer");
  EXPECT_THAT(calls.peers, IsEmpty());
}

TEST_F(RouterTest, SaysThatNoOtherPeerIsReachedWhereItHasNoWay) {
  router.SetPeerCalls(nullptr);

  EXPECT_EQ(AskApi(kGetPeer, Reference(kOther, "panal.v1.PeerObject")), "PEER_UNREACHABLE");
}

TEST_F(RouterTest, ListsObjectsAndServicesInOrder) {
  EXPECT_THAT(router.Services(),
              ElementsAre("acme.v1.Thumbnailer", "grpc.reflection.v1.ServerReflection",
                          "panal.v1.PeerObject"));
  ASSERT_EQ(router.Objects().size(), 4u);
  EXPECT_EQ(router.Objects()[1], (ObjectRef{kSelf, "acme.v1.Thumbnailer", "us-1"}));
}

TEST_F(RouterTest, RefusesASecondObjectOfTheSameName) {
  auto servant = std::make_shared<WordServant>("acme.v1.Thumbnailer", dispatcher, "again");

  EXPECT_EQ(ReasonOf(router.Add(servant, "eu-1")), ErrorReason::kArgumentInvalid);
  EXPECT_TRUE(router.Add(servant, "eu-2").ok());
}

TEST_F(RouterTest, HoldsItsLimitOfObjectsAndRefusesOneMore) {
  auto servant = std::make_shared<WordServant>("acme.v1.Many", dispatcher, "many");
  for (size_t i = router.Objects().size(); i < kObjectsMax; ++i) {
    ASSERT_TRUE(router.Add(servant, std::to_string(i)).ok());
  }

  EXPECT_EQ(ReasonOf(router.Add(servant, "one more")), ErrorReason::kOverloaded);
}

// --- Splicing ------------------------------------------------------------------------------------

class SpliceTest : public RouterTest {
 protected:
  SpliceTest() {
    call = MakeCall(kGetPeer, {{kObjectKey, Reference(kOther, "panal.v1.PeerObject")}});
    router.Route(call);
  }

  std::shared_ptr<FakeCall> call;
};

TEST_F(SpliceTest, CarriesMessagesBothWaysAndTheResult) {
  call->CallerSends("question");
  call->CallerHalfCloses();
  calls.call->CalleeSendsInitialMetadata({{"x-served-by", "b"}});
  calls.call->CalleeSends("one");
  calls.call->CalleeSends("two");
  calls.call->CalleeFinishes({.code = 9,
                              .message = "not now",
                              .details = "bytes",
                              .trailing_metadata = {{"x-trace", "7"}}});

  EXPECT_THAT(calls.call->written, ElementsAre("question"));
  EXPECT_TRUE(calls.call->half_closed);
  EXPECT_THAT(*call->initial_metadata, ElementsAre(Pair("x-served-by", "b")));
  EXPECT_THAT(call->written, ElementsAre("one", "two"));
  ASSERT_TRUE(call->result.has_value());
  EXPECT_EQ(call->result->code, 9);
  EXPECT_EQ(call->result->message, "not now");
  EXPECT_EQ(call->result->details, "bytes");
  EXPECT_THAT(call->result->trailing_metadata, ElementsAre(Pair("x-trace", "7")));
}

TEST_F(SpliceTest, ReadsTheCallerNoFasterThanTheCalleeTakes) {
  calls.call->hold_writes = true;

  call->CallerSends("one");
  call->CallerSends("two");

  EXPECT_THAT(calls.call->written, ElementsAre("one"));
  EXPECT_FALSE(call->reading());
  calls.call->CompleteWrite();
  EXPECT_THAT(calls.call->written, ElementsAre("one", "two"));
}

TEST_F(SpliceTest, ReadsTheCalleeNoFasterThanTheCallerTakes) {
  call->hold_writes = true;

  calls.call->CalleeSends("one");
  calls.call->CalleeSends("two");

  EXPECT_THAT(call->written, ElementsAre("one"));
  EXPECT_FALSE(calls.call->reading());
  call->CompleteWrite();
  EXPECT_THAT(call->written, ElementsAre("one", "two"));
  call->CompleteWrite();
}

TEST_F(SpliceTest, FinishesOnlyAfterTheLastMessageWasTaken) {
  call->hold_writes = true;
  calls.call->CalleeSends("last");
  calls.call->CalleeFinishes({});

  EXPECT_FALSE(call->result.has_value());
  call->CompleteWrite();
  EXPECT_TRUE(call->result.has_value());
}

TEST_F(SpliceTest, CancelsTheCalleeWhenTheCallerCancels) {
  call->CallerCancels();

  EXPECT_TRUE(calls.call->cancelled);
  EXPECT_FALSE(calls.call->half_closed);
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kCancelled);
}

TEST_F(SpliceTest, CancelsTheCalleeWhenAMessageCannotBeDelivered) {
  call->hold_writes = true;
  calls.call->CalleeSends("one");

  call->CompleteWrite(false);

  EXPECT_TRUE(calls.call->cancelled);
  EXPECT_TRUE(call->result.has_value());
}

TEST_F(SpliceTest, LetsGoOfBothEndsWhenTheCallerCancels) {
  const std::weak_ptr<FakeCall> caller = call;
  const std::weak_ptr<FakeOutgoingCall> callee = calls.call;

  call->CallerCancels();
  call.reset();
  calls.call.reset();

  EXPECT_TRUE(caller.expired());
  EXPECT_TRUE(callee.expired());
}

// The callee is done and the caller cancels before it has taken everything.
TEST_F(SpliceTest, LetsGoOfBothEndsWhenMessagesAreLeftUnread) {
  const std::weak_ptr<FakeCall> caller = call;
  const std::weak_ptr<FakeOutgoingCall> callee = calls.call;
  call->hold_writes = true;
  calls.call->CalleeSends("one");
  calls.call->CalleeSends("two");
  calls.call->CalleeFinishes({});

  call->CallerCancels();
  call->CompleteWrite(false);
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kCancelled);
  call.reset();
  calls.call.reset();

  EXPECT_TRUE(caller.expired());
  EXPECT_TRUE(callee.expired());
}

TEST_F(SpliceTest, SaysThatTheTimeRanOutWhenItDid) {
  auto late = MakeCall(kGetPeer, {{kObjectKey, Reference(kOther, "panal.v1.PeerObject")}},
                       absl::Now() - absl::Seconds(1));
  router.Route(late);

  late->CallerCancels();

  EXPECT_TRUE(calls.call->cancelled);
  EXPECT_EQ(ReasonOf(late->status()), ErrorReason::kDeadlineExceeded);
}

// Both ends complete at once: with recursion this would overflow the stack.
TEST_F(SpliceTest, CarriesManyMessagesWithoutGrowingTheStack) {
  auto many = MakeCall(kGetPeer, {{kObjectKey, Reference(kOther, "panal.v1.PeerObject")}});
  constexpr int kMessages = 200'000;
  for (int i = 0; i < kMessages; ++i) many->CallerSends("m");

  router.Route(many);

  EXPECT_EQ(calls.call->written.size(), static_cast<size_t>(kMessages));
  many->CallerCancels();
  call->CallerCancels();
}

}  // namespace
}  // namespace panal
