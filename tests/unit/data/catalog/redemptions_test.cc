#include <gtest/gtest.h>

#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

TicketUse UseBy(absl::string_view peer, char ticket = '1') {
  return {.ticket = Serial(kSerialSize, ticket),
          .peer = Peer(peer),
          .uses = 2,
          .forget_at = kNow + absl::Hours(1)};
}

bool Redeem(SqliteCatalog& catalog, const TicketUse& use, absl::Time now = kNow) {
  const absl::StatusOr<bool> counted = catalog.RedeemTicket(use, now);
  EXPECT_TRUE(counted.ok()) << counted.status();
  return counted.ok() && *counted;
}

TEST(Redemptions, LetInAsManyPeersAsTheTicketSaysAndNoMore) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));

  EXPECT_TRUE(Redeem(*catalog, UseBy("a")));
  EXPECT_TRUE(Redeem(*catalog, UseBy("b")));
  EXPECT_FALSE(Redeem(*catalog, UseBy("c")));

  EXPECT_TRUE(Redeem(*catalog, UseBy("c", /*ticket=*/'2')));
}

TEST(Redemptions, CountAPeerOnce) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(Redeem(*catalog, UseBy("a")));
  ASSERT_TRUE(Redeem(*catalog, UseBy("a")));
  ASSERT_TRUE(Redeem(*catalog, UseBy("b")));

  EXPECT_TRUE(Redeem(*catalog, UseBy("a")));  // Used up, but not for who is in.
  EXPECT_FALSE(Redeem(*catalog, UseBy("c")));
}

TEST(Redemptions, OutliveTheCatalog) {
  TempDir dir;
  {
    auto catalog = OpenOrDie(OptionsIn(dir));
    ASSERT_TRUE(Redeem(*catalog, UseBy("a")));
    ASSERT_TRUE(Redeem(*catalog, UseBy("b")));
  }

  auto catalog = OpenOrDie(OptionsIn(dir));

  EXPECT_FALSE(Redeem(*catalog, UseBy("c")));
}

TEST(Redemptions, AreForgottenOnceTheTicketIsVoid) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(Redeem(*catalog, UseBy("a")));
  ASSERT_TRUE(Redeem(*catalog, UseBy("b")));

  EXPECT_FALSE(Redeem(*catalog, UseBy("c"), kNow + absl::Hours(1) - absl::Milliseconds(1)));
  EXPECT_TRUE(Redeem(*catalog, UseBy("c"), kNow + absl::Hours(1)));
}

TEST(Redemptions, CountThoseThatUsedItElsewhereOnce) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  TicketUse use = UseBy("b");
  use.others = {Peer("a"), Peer("b")};
  EXPECT_TRUE(Redeem(*catalog, use));  // It is one of them.

  use = UseBy("c");
  EXPECT_FALSE(Redeem(*catalog, use));  // The others are remembered.
  EXPECT_TRUE(Redeem(*catalog, UseBy("a")));
}

}  // namespace
}  // namespace panal::catalog_test
