#include "common/wire/record_codec.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/model/frame.h"
#include "panal/v1/frames.pb.h"

namespace panal {
namespace {

Hit FullHit() {
  Hit hit;
  hit.record.name = "docs/a.txt";
  hit.record.id.bytes.fill(9);
  hit.record.size_bytes = kRecordSizeBytesMax;
  hit.record.attributes = {{"lang", "es"}, {"year", "2024"}};
  hit.record.version = ~0ull;
  hit.record.addresses = {"[::1]:7401"};
  hit.publisher.id.bytes.fill(8);
  hit.publisher.addresses = {"a:1", "b:2"};
  return hit;
}

v1::Record MessageOf(const Record& record) {
  v1::Record message;
  ToProto(record, &message);
  return message;
}

ErrorReason ReasonOfDecoding(const v1::Record& message) {
  return ReasonOf(FromProto(message).status());
}

TEST(RecordCodec, DecodesWhatItEncoded) {
  Record record = FullHit().record;

  absl::StatusOr<std::optional<Record>> decoded = DecodeRecord(EncodeRecord(record));

  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(**decoded, record);
}

TEST(RecordCodec, SendsNoIdForAnObject) {
  Record object;
  object.kind = RecordKind::kObject;
  object.name = "a";

  EXPECT_EQ(MessageOf(object).id(), "");
  EXPECT_EQ(**DecodeRecord(EncodeRecord(object)), object);
}

TEST(RecordCodec, SkipsKindsItDoesNotKnow) {
  v1::Record message = MessageOf(FullHit().record);
  for (int kind : {0, 5, 1000, -1}) {
    message.set_kind(static_cast<v1::RecordKind>(kind));
    absl::StatusOr<std::optional<Record>> decoded = FromProto(message);
    ASSERT_TRUE(decoded.ok()) << kind;
    EXPECT_FALSE(decoded->has_value()) << kind;
  }
}

TEST(RecordCodec, RefusesFieldsOutOfTheirRange) {
  v1::Record good = MessageOf(FullHit().record);

  v1::Record id = good;
  id.set_id("short");
  EXPECT_EQ(ReasonOfDecoding(id), ErrorReason::kRecordInvalid);
  v1::Record no_id = good;
  no_id.clear_id();
  EXPECT_EQ(ReasonOfDecoding(no_id), ErrorReason::kRecordInvalid);
  v1::Record name = good;
  name.set_name("../x");
  EXPECT_EQ(ReasonOfDecoding(name), ErrorReason::kFileNameInvalid);
  v1::Record attribute = good;
  (*attribute.mutable_attributes())["Bad Key"] = "x";
  EXPECT_EQ(ReasonOfDecoding(attribute), ErrorReason::kAttributeInvalid);
  v1::Record attributes = good;
  for (size_t i = 0; i < kRecordAttributesMax; ++i) {
    (*attributes.mutable_attributes())[absl::StrCat("k", i)] = "x";
  }
  EXPECT_EQ(ReasonOfDecoding(attributes), ErrorReason::kRecordInvalid);
  v1::Record addresses = good;
  for (size_t i = 0; i < kContactAddressesMax; ++i) addresses.add_addresses("a:1");
  EXPECT_EQ(ReasonOfDecoding(addresses), ErrorReason::kRecordInvalid);
  EXPECT_EQ(ReasonOf(DecodeRecord("\xff\xff").status()), ErrorReason::kRecordInvalid);
}

TEST(HitCodec, DecodesWhatItEncoded) {
  absl::StatusOr<std::optional<Hit>> decoded = DecodeHit(EncodeHit(FullHit()));

  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(**decoded, FullHit());
}

TEST(HitCodec, RefusesAPublisherThatIsNone) {
  v1::HitRecord good;
  ToProto(FullHit(), &good);

  v1::HitRecord publisher = good;
  publisher.set_publisher("x");
  EXPECT_EQ(ReasonOf(FromProto(publisher).status()), ErrorReason::kRecordInvalid);
  v1::HitRecord address = good;
  address.add_addresses("nowhere");
  EXPECT_EQ(ReasonOf(FromProto(address).status()), ErrorReason::kRecordInvalid);
}

TEST(HitCodec, TakesNoMoreBytesThanTheModelSays) {
  Hit largest = FullHit();
  largest.record.name = std::string(kRecordNameSizeMax, 'n');
  for (size_t i = largest.record.attributes.size(); i < kRecordAttributesMax; ++i) {
    largest.record.attributes[absl::StrCat("key", i)] = std::string(kAttributeValueSizeMax, 'v');
  }

  for (const Hit& hit : {FullHit(), largest, Hit{{.name = "a"}, {}}}) {
    v1::Answer answer;
    ToProto(hit, answer.add_hits());
    EXPECT_LE(answer.ByteSizeLong(), HitFrameSizeMax(hit));
    EXPECT_LE(HitFrameSizeMax(hit), answer.ByteSizeLong() + 500);
  }
}

TEST(ContactCodec, DecodesWhatItEncoded) {
  v1::PeerContact message;
  ToProto(FullHit().publisher, &message);

  EXPECT_EQ(*FromProto(message), FullHit().publisher);
}

}  // namespace
}  // namespace panal
