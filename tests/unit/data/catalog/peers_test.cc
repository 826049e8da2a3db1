#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

PeerContact Contact(absl::string_view name) { return {Peer(name), {absl::StrCat(name, ":7401")}}; }

TEST(KnownPeers, ComeMostRecentlySeenFirst) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->RememberPeers({Contact("a")}, kNow).ok());
  ASSERT_TRUE(catalog->RememberPeers({Contact("b")}, kNow + absl::Seconds(1)).ok());
  ASSERT_TRUE(catalog->RememberPeers({Contact("a")}, kNow + absl::Seconds(2)).ok());

  EXPECT_THAT(*catalog->KnownPeers(10), ElementsAre(Contact("a"), Contact("b")));
  EXPECT_THAT(*catalog->KnownPeers(1), ElementsAre(Contact("a")));
}

TEST(KnownPeers, AreAtMostTheLimit) {
  TempDir dir;
  CatalogOptions options = OptionsIn(dir);
  options.known_peers_max = 3;
  auto catalog = OpenOrDie(options);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(catalog->RememberPeers({Contact(absl::StrCat(i))}, kNow + absl::Seconds(i)).ok());
  }
  EXPECT_THAT(*catalog->KnownPeers(10), SizeIs(3));

  ASSERT_TRUE(catalog->RememberPeers({Contact("new")}, kNow + absl::Seconds(9)).ok());

  EXPECT_THAT(*catalog->KnownPeers(10), ElementsAre(Contact("new"), Contact("2"), Contact("1")));
}

TEST(KnownPeers, KeepTheirAddressesWhenSeenWithoutAny) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->RememberPeers({Contact("a")}, kNow).ok());
  ASSERT_TRUE(catalog->RememberPeers({{Peer("a"), {}}, {Peer("b"), {}}}, kNow).ok());
  EXPECT_THAT(*catalog->KnownPeers(10), ElementsAre(Contact("a")));
}

TEST(FindPeers, FindsPublishedAndKnownPeersByPrefix) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->RememberPeers({Contact("known"), {Peer("both"), {"old:1"}}}, kNow).ok());
  Page page = MakePage(Peer("both"), 0, 1, {MakePeerRecord(Peer("both"), {"new:1"})});
  ASSERT_TRUE(catalog->StorePage(page, true, kNow).ok());

  EXPECT_THAT(*catalog->FindPeers(Peer("known").ToText().substr(0, 8), 10),
              ElementsAre(Contact("known")));
  EXPECT_THAT(*catalog->FindPeers(Peer("both").ToText(), 10),
              ElementsAre(PeerContact{Peer("both"), {"new:1"}}));
  EXPECT_THAT(*catalog->FindPeers("", 10), SizeIs(2));
  EXPECT_THAT(*catalog->FindPeers("", 1), SizeIs(1));
  EXPECT_THAT(*catalog->FindPeers("!", 10), IsEmpty());
}

TEST(FindPeers, BelievesNobodyAboutAnotherPeer) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Page page = MakePage(Peer("liar"), 0, 1, {MakePeerRecord(Peer("victim"), {"evil:1"})});
  ASSERT_TRUE(catalog->StorePage(page, true, kNow).ok());
  EXPECT_THAT(*catalog->FindPeers(Peer("victim").ToText(), 10), IsEmpty());
}

TEST(Settings, AreKept) {
  TempDir dir;
  {
    auto catalog = OpenOrDie(OptionsIn(dir));
    EXPECT_EQ(*catalog->GetValue("mesh"), std::nullopt);
    ASSERT_TRUE(catalog->SetValue("mesh", "first").ok());
    ASSERT_TRUE(catalog->SetValue("mesh", std::string("\0second", 7)).ok());
  }
  auto catalog = OpenOrDie(OptionsIn(dir));
  EXPECT_EQ(*catalog->GetValue("mesh"), std::string("\0second", 7));
}

}  // namespace
}  // namespace panal::catalog_test
