#include "server/runtime/contacts.h"

#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/status.h"
#include "server/runtime/metrics.h"
#include "tests/support/catalog_support.h"

namespace panal {
namespace {

PeerContact Contact(const std::string& name) {
  return {catalog_test::Peer(name), {absl::StrCat(name.substr(0, 3), ":1")}};
}

// A peer without neighbors: its mesh is itself, and a search of it ends at once.
class ContactsTest : public testing::Test {
 protected:
  ContactsTest()
      : catalog_(catalog_test::OpenOrDie(catalog_test::OptionsIn(dir_))),
        dispatcher_(Dispatcher::Create({})),
        signer_(identity_, MeshId(), *catalog_),
        self_{identity_.peer_id(), {"self:1"}},
        driver_(self_.id, {}, 1, loop_, *dispatcher_, *catalog_, signer_, metrics_),
        contacts_(self_, driver_, *catalog_, *dispatcher_) {
    loop_.Start();
    driver_.Post(Start{self_, {}});
  }

  ~ContactsTest() override {
    dispatcher_->Stop();
    loop_.Stop();
  }

  absl::StatusOr<PeerContact> Resolve(const std::string& prefix) {
    absl::StatusOr<PeerContact> result = absl::UnknownError("");
    absl::Notification done;
    contacts_.Resolve(prefix, [&](absl::StatusOr<PeerContact> contact) {
      result = std::move(contact);
      done.Notify();
    });
    EXPECT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(60)));
    return result;
  }

  catalog_test::TempDir dir_;
  const Identity identity_ = Identity::Generate();
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<Dispatcher> dispatcher_;
  Metrics metrics_{"test"};
  NodeLoop loop_;
  PageSigner signer_;
  PeerContact self_;
  CoreDriver driver_;
  Contacts contacts_;
};

TEST_F(ContactsTest, FindsItselfAndWhatItLearned) {
  PeerContact known = Contact("known");
  contacts_.Learn(known);

  EXPECT_EQ(Resolve(known.id.ToText()).value(), known);
  EXPECT_EQ(Resolve(self_.id.ToText()).value(), self_);
  EXPECT_EQ(Resolve(known.id.ToText().substr(0, 10)).value(), known);
  contacts_.SetSelf({self_.id, {"moved:1"}});
  EXPECT_EQ(Resolve(self_.id.ToText()).value().addresses, std::vector<std::string>{"moved:1"});
}

TEST_F(ContactsTest, TakesTheAddressesLearnedLastAndNoneWithout) {
  PeerContact known = Contact("known");
  contacts_.Learn(known);
  contacts_.Learn({known.id, {"new:1"}});
  contacts_.Learn({known.id, {}});
  contacts_.Learn({self_.id, {"not true:1"}});

  EXPECT_EQ(Resolve(known.id.ToText()).value().addresses, std::vector<std::string>{"new:1"});
  EXPECT_EQ(Resolve(self_.id.ToText()).value(), self_);
}

TEST_F(ContactsTest, AStaleRecordDoesNotOverwriteAFreshOne) {
  const PeerId id = Contact("moving").id;
  auto addresses = [&] { return Resolve(id.ToText()).value().addresses; };
  contacts_.Learn({id, {"second:1"}}, 2);
  contacts_.Learn({id, {"first:1"}}, 1);
  EXPECT_EQ(addresses(), std::vector<std::string>{"second:1"});

  // A link knows better, and a record that is no newer does not change that.
  contacts_.Learn({id, {"linked:1"}});
  contacts_.Learn({id, {"second:1"}}, 2);
  EXPECT_EQ(addresses(), std::vector<std::string>{"linked:1"});
  contacts_.Learn({id, {"third:1"}}, 3);
  EXPECT_EQ(addresses(), std::vector<std::string>{"third:1"});
}

TEST_F(ContactsTest, FindsWhatTheCatalogRemembers) {
  PeerContact kept = Contact("kept");
  ASSERT_TRUE(catalog_->RememberPeers({kept}, absl::Now()).ok());

  EXPECT_EQ(Resolve(kept.id.ToText()).value(), kept);
  EXPECT_EQ(Resolve(kept.id.ToText().substr(0, 12)).value(), kept);
}

TEST_F(ContactsTest, RefusesWhatIsNoPrefix) {
  std::string id = Contact("known").id.ToText();
  for (const std::string& text : {std::string(), std::string("abc"), id + "a", std::string("ABCD"),
                                  std::string("ab0d"), std::string("abc'")}) {
    EXPECT_EQ(ReasonOf(Resolve(text).status()), ErrorReason::kPeerIdInvalid) << text;
  }
}

TEST_F(ContactsTest, SaysThatNobodyIsKnown) {
  EXPECT_EQ(ReasonOf(Resolve(Contact("nobody").id.ToText()).status()), ErrorReason::kPeerUnknown);
  EXPECT_EQ(ReasonOf(Resolve(Contact("nobody").id.ToText().substr(0, 8)).status()),
            ErrorReason::kPeerUnknown);
}

TEST_F(ContactsTest, NamesTheCandidatesOfAnAmbiguousPrefix) {
  PeerContact one = Contact("one");
  PeerContact other = one;
  other.id.bytes[31] ^= 1;  // The texts differ at the end only.
  contacts_.Learn(one);
  contacts_.Learn(other);

  absl::Status status = Resolve(one.id.ToText().substr(0, 20)).status();

  EXPECT_EQ(ReasonOf(status), ErrorReason::kPeerAmbiguous);
  EXPECT_NE(status.message().find(one.id.ToText()), std::string::npos) << status;
  EXPECT_NE(status.message().find(other.id.ToText()), std::string::npos) << status;
  EXPECT_EQ(Resolve(other.id.ToText()).value(), other);
}

TEST_F(ContactsTest, ForgetsWhatWasLearnedLongestAgoBeyondItsLimit) {
  for (size_t i = 0; i < kContactsMax; ++i) contacts_.Learn(Contact(absl::StrCat("peer ", i)));
  EXPECT_TRUE(Resolve(Contact("peer 0").id.ToText()).ok());
  contacts_.Learn(Contact("peer 0"));  // Now the youngest.

  contacts_.Learn(Contact("one more"));

  EXPECT_TRUE(Resolve(Contact("peer 0").id.ToText()).ok());
  EXPECT_TRUE(Resolve(Contact("peer 2").id.ToText()).ok());
  EXPECT_TRUE(Resolve(Contact("one more").id.ToText()).ok());
  EXPECT_EQ(ReasonOf(Resolve(Contact("peer 1").id.ToText()).status()), ErrorReason::kPeerUnknown);
}

}  // namespace
}  // namespace panal
