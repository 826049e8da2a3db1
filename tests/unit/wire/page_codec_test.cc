#include "common/wire/page_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/identity/identity.h"
#include "panal/v1/frames.pb.h"

namespace panal {
namespace {

using testing::HasSubstr;

Record File(int index) {
  Record record;
  record.name = absl::StrCat("f", index);
  record.id.bytes.fill(static_cast<uint8_t>(index));
  return record;
}

Page PageWith(std::vector<Record> records) {
  Page page;
  page.header.public_key = std::string(kPageKeySize, 'k');
  page.header.key = {*PublisherOfKey(page.header.public_key), 5};
  page.header.version = 6;
  page.header.expires_ms = 7;
  page.header.signature = std::string(kPageSignatureSize, 's');
  page.body = EncodePageBody(records);
  page.header.body_hash = Sha256(page.body);
  page.records = std::move(records);
  return page;
}

v1::SignedPage MessageOf(const Page& page) {
  v1::SignedPage message;
  ToProto(page, true, &message);
  return message;
}

std::string ErrorOf(const v1::SignedPage& message) {
  absl::StatusOr<DecodedPage> page = FromProto(message);
  if (page.ok()) return "";
  EXPECT_EQ(ReasonOf(page.status()), ErrorReason::kPageInvalid);
  return std::string(page.status().message());
}

TEST(PageCodec, DecodesWhatItEncoded) {
  Page page = PageWith({File(1), File(2)});

  absl::StatusOr<DecodedPage> decoded = DecodeSignedPage(EncodeSignedPage(page, true));

  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_TRUE(decoded->has_body);
  EXPECT_EQ(decoded->page->header, page.header);
  EXPECT_EQ(decoded->page->body, page.body);
  EXPECT_EQ(decoded->page->records, page.records);
}

TEST(PageCodec, SendsTheHeaderAloneInARefresh) {
  Page page = PageWith({File(1)});

  absl::StatusOr<DecodedPage> decoded = DecodeSignedPage(EncodeSignedPage(page, false));

  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_FALSE(decoded->has_body);
  EXPECT_EQ(decoded->page->header, page.header);
  EXPECT_TRUE(decoded->page->records.empty());
}

TEST(PageCodec, TellsADeletionFromARefresh) {
  Page page = PageWith({});

  EXPECT_EQ(page.body, "");
  EXPECT_TRUE(DecodeSignedPage(EncodeSignedPage(page, true))->has_body);
  EXPECT_FALSE(DecodeSignedPage(EncodeSignedPage(page, false))->has_body);
}

TEST(PageCodec, KeepsTheExactBytesWithRecordsItDoesNotKnow) {
  v1::PageBody body;
  body.add_records()->set_kind(static_cast<v1::RecordKind>(99));
  Page page = PageWith({File(1)});
  page.body = absl::StrCat(body.SerializeAsString(), page.body);
  page.header.body_hash = Sha256(page.body);

  absl::StatusOr<DecodedPage> decoded = DecodeSignedPage(EncodeSignedPage(page, true));

  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->page->body, page.body);
  EXPECT_EQ(decoded->page->records, page.records);
}

TEST(PageCodec, RefusesWhatDoesNotFitTogether) {
  v1::SignedPage good = MessageOf(PageWith({File(1)}));
  EXPECT_EQ(ErrorOf(good), "");

  v1::SignedPage hash = good;
  hash.mutable_body_hash()->back() ^= 1;
  EXPECT_THAT(ErrorOf(hash), HasSubstr("does not hash"));
  v1::SignedPage key = good;
  key.set_public_key("short");
  EXPECT_THAT(ErrorOf(key), HasSubstr("public key of 5 bytes"));
  v1::SignedPage signature = good;
  signature.clear_signature();
  EXPECT_THAT(ErrorOf(signature), HasSubstr("signature of 0 bytes"));
  v1::SignedPage no_hash = good;
  no_hash.clear_body_hash();
  EXPECT_THAT(ErrorOf(no_hash), HasSubstr("hash of 0 bytes"));
  v1::SignedPage number = good;
  number.set_number(kPageNumberMax + 1);
  EXPECT_THAT(ErrorOf(number), HasSubstr("number exceeds 16384"));
  v1::SignedPage refresh = good;
  refresh.set_has_body(false);
  EXPECT_THAT(ErrorOf(refresh), HasSubstr("without its body has one"));
  EXPECT_EQ(ReasonOf(DecodeSignedPage("\xff").status()), ErrorReason::kPageInvalid);
}

TEST(PageBodyCodec, BoundsItsRecordsAndItsSize) {
  std::vector<Record> records;
  for (size_t i = 0; i < kPageRecordsMax; ++i) records.push_back(File(static_cast<int>(i)));
  EXPECT_TRUE(DecodePageBody(EncodePageBody(records)).ok());
  records.push_back(File(1000));
  EXPECT_THAT(std::string(DecodePageBody(EncodePageBody(records)).status().message()),
              HasSubstr("257 records exceed 256"));

  std::string large(kPageBodySizeMax + 1, '\0');
  EXPECT_THAT(std::string(DecodePageBody(large).status().message()), HasSubstr("exceeds 65536"));
}

TEST(PageBodyCodec, RefusesARecordOutOfItsLimits) {
  Record record = File(1);
  record.name = "/absolute";

  absl::StatusOr<std::vector<Record>> records = DecodePageBody(EncodePageBody({File(0), record}));

  EXPECT_EQ(ReasonOf(records.status()), ErrorReason::kPageInvalid);
}

TEST(PublisherOfKey, IsThePeerIdThatTheKeyHas) {
  Identity identity = Identity::Generate();

  EXPECT_EQ(PublisherOfKey(identity.public_key()), identity.peer_id());
  EXPECT_EQ(PublisherOfKey("short"), std::nullopt);
}

// The worked example of docs/protocol/records.md.
TEST(PublisherOfKey, HashesTheDocumentedBytes) {
  EXPECT_EQ(PublisherOfKey(std::string(32, '\x55'))->ToText(),
            "qz6p4awthuk7ufwrf5z3zpnss4kl5zul6oqkgctqtssmeyifi6fa");
}

}  // namespace
}  // namespace panal
