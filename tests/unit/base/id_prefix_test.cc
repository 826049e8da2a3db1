#include "common/base/id_prefix.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace panal {
namespace {

TEST(IdPrefix, IsTakenFromFourToFiftyTwoCharacters) {
  for (const std::string& text : {std::string("a2z7"), std::string(52, 'q')}) {
    const absl::StatusOr<std::string> parsed = ParseIdPrefix(text, IdKind::kPeer);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, text);
  }
}

TEST(IdPrefix, IsRefusedByKindWhenItIsShorterLongerOrNoBase32) {
  for (const std::string& text : {std::string(), std::string("abc"), std::string(53, 'q'),
                                  std::string("ab1d"), std::string("ABCD"), std::string("ab d"),
                                  std::string("ab\0d", 4), std::string(51, 'q') + "b"}) {
    EXPECT_EQ(ReasonOf(ParseIdPrefix(text, IdKind::kPeer).status()), ErrorReason::kPeerIdInvalid)
        << text;
    EXPECT_EQ(ReasonOf(ParseIdPrefix(text, IdKind::kFile).status()), ErrorReason::kFileIdInvalid)
        << text;
  }
}

TEST(IdPrefix, IsShownNoLongerThanAnId) {
  const absl::Status refused = ParseIdPrefix(std::string(10'000, 'x'), IdKind::kFile).status();

  EXPECT_LT(refused.message().size(), 200u);
  EXPECT_TRUE(absl::StrContains(refused.message(), "no file id")) << refused;
}

}  // namespace
}  // namespace panal
