// Any frame within its ranges comes back from the wire as it was; any damage to it is refused or
// harmless.
#include <gtest/gtest.h>

#include <type_traits>
#include <variant>

#include "common/wire/frame_codec.h"
#include "common/wire/page_codec.h"
#include "common/wire/protobuf_log.h"
#include "common/wire/record_codec.h"
#include "tests/property/model/byte_properties.h"
#include "tests/property/model/random_values.h"

namespace panal {
namespace {

constexpr uint64_t kSeeds = 1000;
constexpr size_t kKinds = std::variant_size_v<Frame>;

void ExpectSame(const PagePtr& left, const PagePtr& right) {
  ASSERT_EQ(left == nullptr, right == nullptr);
  if (left == nullptr) return;
  EXPECT_EQ(left->header, right->header);
  EXPECT_EQ(left->body, right->body);
  EXPECT_EQ(left->records, right->records);
}

void ExpectSame(const PageBodyFrame& left, const PageBodyFrame& right) {
  ExpectSame(left.page, right.page);
}

void ExpectSame(const DigestFrame& left, const DigestFrame& right) {
  EXPECT_EQ(left.version, right.version);
  ASSERT_EQ(left.digest == nullptr, right.digest == nullptr);
  if (left.digest != nullptr) EXPECT_EQ(*left.digest, *right.digest);
}

void ExpectSame(const Cast& left, const Cast& right) {
  EXPECT_EQ(left.bubble, right.bubble);
  EXPECT_EQ(left.origin, right.origin);
  EXPECT_EQ(left.seed, right.seed);
  EXPECT_EQ(left.begin, right.begin);
  EXPECT_EQ(left.end, right.end);
  EXPECT_EQ(left.everyone, right.everyone);
  EXPECT_EQ(left.consult, right.consult);
  EXPECT_EQ(left.contact, right.contact);
  EXPECT_EQ(left.hops, right.hops);
  EXPECT_EQ(left.budget_ms, right.budget_ms);
  ASSERT_EQ(left.payload.index(), right.payload.index());
  if (const auto* query = std::get_if<QueryPayload>(&left.payload)) {
    EXPECT_EQ(*query, std::get<QueryPayload>(right.payload));
    return;
  }
  const auto& page = std::get<PagePayload>(left.payload);
  const auto& other = std::get<PagePayload>(right.payload);
  EXPECT_EQ(page.has_body, other.has_body);
  ExpectSame(page.page, other.page);
  ExpectSame(page.peer_page, other.peer_page);
}

template <typename T>
void ExpectSame(const T& left, const T& right) {
  EXPECT_EQ(left, right);
}

void ExpectSameFrame(const Frame& left, const Frame& right) {
  ASSERT_EQ(left.index(), right.index());
  std::visit(
      [&](const auto& frame) { ExpectSame(frame, std::get<std::decay_t<decltype(frame)>>(right)); },
      left);
}

TEST(FrameProperty, AnyFrameComesBackAsItWas) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Frame frame = RandomFrame(random, seed % kKinds);

    absl::StatusOr<std::optional<Frame>> decoded = DecodeFrame(EncodeFrame(frame));

    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_TRUE(decoded->has_value());
    ExpectSameFrame(frame, **decoded);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(FrameProperty, AnyFrameCutShortOrDamagedIsRefusedOrAFrame) {
  LimitProtobufLog();
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    std::string bytes = EncodeFrame(RandomFrame(random, seed % kKinds));

    CheckFrame(absl::string_view(bytes).substr(0, random.Below(bytes.size() + 1)));
    for (int i = 0; i < 10 && !bytes.empty(); ++i) {
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Next());
      CheckFrame(bytes);
    }
  }
}

TEST(FrameProperty, AnyHitTakesNoMoreBytesThanTheModelSays) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    Hit hit = RandomHit(random);
    size_t empty = EncodeFrame(Answer{}).size();

    // Two bytes may be added to the length of the Answer itself.
    EXPECT_LE(EncodeFrame(Answer{.hits = {hit}}).size(), empty + 2 + HitFrameSizeMax(hit)) << seed;
  }
}

TEST(RecordProperty, AnyRecordAndHitComeBackAsTheyWere) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    Record record = RandomRecord(random);
    Hit hit = RandomHit(random);

    EXPECT_EQ(DecodeRecord(EncodeRecord(record)).value(), record) << seed;
    EXPECT_EQ(DecodeHit(EncodeHit(hit)).value(), hit) << seed;
  }
}

TEST(PageProperty, AnyPageComesBackAsItWas) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    PagePtr page = RandomPage(random, 1);

    absl::StatusOr<DecodedPage> decoded = DecodeSignedPage(EncodeSignedPage(*page, true));

    ASSERT_TRUE(decoded.ok()) << seed << decoded.status();
    ExpectSame(page, decoded->page);
  }
}

}  // namespace
}  // namespace panal
