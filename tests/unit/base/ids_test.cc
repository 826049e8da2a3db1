#include "common/base/ids.h"

#include <gtest/gtest.h>

#include <type_traits>

#include "absl/container/flat_hash_set.h"
#include "common/base/random.h"

namespace panal {
namespace {

static_assert(!std::is_convertible_v<PeerId, FileId>);
static_assert(!std::is_convertible_v<FileId, MeshId>);
static_assert(!std::is_convertible_v<Sha256Digest, PeerId>);

TEST(Digest256, IsTheSameAfterBytesAndAfterText) {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    std::string bytes = random.Bytes(32);
    std::optional<PeerId> id = PeerId::FromBytes(bytes);
    ASSERT_TRUE(id.has_value());
    EXPECT_EQ(id->ToBytes(), bytes);
    EXPECT_EQ(id->ToText().size(), PeerId::kTextSize);
    EXPECT_EQ(PeerId::FromText(id->ToText()), id);
  }
}

TEST(Digest256, RefusesOtherSizesOfBytes) {
  for (size_t size : {0, 31, 33, 64})
    EXPECT_EQ(FileId::FromBytes(std::string(size, 'x')), std::nullopt);
}

TEST(Digest256, RefusesTextThatIsNotAnId) {
  std::string text = FileId{}.ToText();
  EXPECT_EQ(text, std::string(52, 'a'));
  EXPECT_EQ(FileId::FromText(""), std::nullopt);
  EXPECT_EQ(FileId::FromText(text.substr(1)), std::nullopt);
  EXPECT_EQ(FileId::FromText(text + "a"), std::nullopt);
  EXPECT_EQ(FileId::FromText("A" + text.substr(1)), std::nullopt);
  EXPECT_EQ(FileId::FromText("1" + text.substr(1)), std::nullopt);
  EXPECT_EQ(FileId::FromText(text.substr(1) + "b"), std::nullopt);
  EXPECT_EQ(FileId::FromText(text.substr(1) + "q"),
            FileId::FromBytes(std::string(31, '\0') + "\x01"));
}

TEST(Digest256, OrdersAsBytesAndAsTextAlike) {
  Random random(2);
  for (int round = 0; round < 200; ++round) {
    MeshId a = *MeshId::FromBytes(random.Bytes(32));
    MeshId b = *MeshId::FromBytes(random.Bytes(32));
    EXPECT_EQ(a < b, a.ToBytes() < b.ToBytes());
    EXPECT_EQ(a == b, a.ToBytes() == b.ToBytes());
  }
}

TEST(Digest256, HashesDifferentIdsApart) {
  absl::flat_hash_set<PeerId> ids;
  Random random(3);
  for (int round = 0; round < 1000; ++round) ids.insert(*PeerId::FromBytes(random.Bytes(32)));
  EXPECT_EQ(ids.size(), 1000u);
  EXPECT_TRUE(ids.contains(*ids.begin()));
}

TEST(Digest256, ShortensItsTextForLogs) {
  PeerId id = *PeerId::FromBytes(Random(4).Bytes(32));
  EXPECT_EQ(id.ToShortText(), id.ToText().substr(0, 8));
}

}  // namespace
}  // namespace panal
