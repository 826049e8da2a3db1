#include "common/model/page.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace panal {
namespace {

Page ValidPage() {
  Page page;
  page.header.key.publisher.bytes.fill(7);
  page.header.key.number = 1;
  page.header.public_key = std::string(kPageKeySize, 'k');
  page.header.signature = std::string(kPageSignatureSize, 's');
  return page;
}

Record File(int index) {
  Record record;
  record.name = absl::StrCat("f", index);
  return record;
}

TEST(Page, IsValidWithinItsLimits) {
  Page page = ValidPage();
  page.header.key.number = kPageNumberMax;
  page.body = std::string(kPageBodySizeMax, 'b');
  for (size_t i = 0; i < kPageRecordsMax; ++i) page.records.push_back(File(static_cast<int>(i)));

  EXPECT_TRUE(ValidatePage(page, true).ok());
}

TEST(Page, IsRefusedBeyondItsLimits) {
  Page number = ValidPage();
  number.header.key.number = kPageNumberMax + 1;
  Page body = ValidPage();
  body.body = std::string(kPageBodySizeMax + 1, 'b');
  Page records = ValidPage();
  for (size_t i = 0; i <= kPageRecordsMax; ++i)
    records.records.push_back(File(static_cast<int>(i)));
  Page key = ValidPage();
  key.header.public_key.pop_back();
  Page signature = ValidPage();
  signature.header.signature.push_back('s');
  Page record = ValidPage();
  record.records.push_back(File(0));
  record.records[0].name = "..";

  for (const Page& page : {number, body, records, key, signature, record}) {
    EXPECT_EQ(ReasonOf(ValidatePage(page, true)), ErrorReason::kPageInvalid);
  }
}

TEST(Page, HoldsOnlyItsPublishersPeerRecordAndOnPageZero) {
  Page page = ValidPage();
  page.header.key.number = kPeerPageNumber;
  page.records.push_back(File(0));
  page.records[0].kind = RecordKind::kPeer;
  page.records[0].id.bytes = page.header.key.publisher.bytes;
  EXPECT_TRUE(ValidatePage(page, true).ok());

  Page elsewhere = page;
  elsewhere.header.key.number = 1;
  EXPECT_FALSE(ValidatePage(elsewhere, true).ok());
  Page stranger = page;
  stranger.records[0].id.bytes.fill(9);
  EXPECT_FALSE(ValidatePage(stranger, true).ok());
}

TEST(Page, HasNothingInItWithoutItsBody) {
  Page page = ValidPage();
  EXPECT_TRUE(ValidatePage(page, false).ok());

  page.body = "x";
  EXPECT_FALSE(ValidatePage(page, false).ok());
}

// The worked example of docs/protocol/records.md.
TEST(Page, SignsTheDocumentedBytes) {
  MeshId mesh;
  mesh.bytes.fill(0x11);
  PageHeader header;
  header.key.publisher.bytes.fill(0x22);
  header.key.number = 3;
  header.version = 4;
  header.expires_ms = 1700000000000;
  header.body_hash.bytes.fill(0x33);

  EXPECT_EQ(absl::BytesToHexString(PageSigningBytes(mesh, header)),
            "70616e616c207061676520763100"
            "1111111111111111111111111111111111111111111111111111111111111111"
            "2222222222222222222222222222222222222222222222222222222222222222"
            "00000003"
            "0000000000000004"
            "0000018bcfe56800"
            "3333333333333333333333333333333333333333333333333333333333333333");
}

}  // namespace
}  // namespace panal
