#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/model/query.h"

namespace panal {
namespace {

PeerId Publisher() {
  PeerId id;
  id.bytes.fill(0x55);
  return id;
}

Record File(absl::string_view name, Attributes attributes = {}) {
  Record record;
  record.name = std::string(name);
  record.id.bytes.fill(0xaa);
  record.size_bytes = 2048;
  record.attributes = std::move(attributes);
  return record;
}

bool IsMatch(absl::string_view text, const Record& record) {
  absl::StatusOr<Query> query = Query::Parse(text);
  EXPECT_TRUE(query.ok()) << text << ": " << query.status();
  return query.ok() && Matches(*query, record, Publisher());
}

TEST(Matcher, FindsWordsInNameAndAttributeValues) {
  Record record = File("docs/Annual Report.pdf", {{"author", "Zoë Quinn"}});

  EXPECT_TRUE(IsMatch("report annual", record));
  EXPECT_TRUE(IsMatch("zoe pdf", record));
  EXPECT_FALSE(IsMatch("author", record));  // Keys are not searched.
  EXPECT_FALSE(IsMatch("repo", record));
}

TEST(Matcher, FindsPhrasesWithinOneTextOnly) {
  Record record = File("annual report", {{"a", "2024 draft"}, {"b", "two"}});

  EXPECT_TRUE(IsMatch("\"annual report\"", record));
  EXPECT_FALSE(IsMatch("\"report annual\"", record));
  EXPECT_FALSE(IsMatch("\"report 2024\"", record));
  EXPECT_FALSE(IsMatch("\"draft two\"", record));
  EXPECT_TRUE(IsMatch("annual-report", record));
}

TEST(Matcher, FindsPrefixesOfTheLastTerm) {
  Record record = File("annual report");

  EXPECT_TRUE(IsMatch("rep*", record));
  EXPECT_TRUE(IsMatch("report*", record));
  EXPECT_TRUE(IsMatch("\"annual re\"*", record));
  EXPECT_FALSE(IsMatch("\"ann re\"*", record));
  EXPECT_FALSE(IsMatch("eport*", record));
}

TEST(Matcher, LooksInTheNameAloneWhereAsked) {
  Record record = File("annual", {{"title", "report"}});

  EXPECT_TRUE(IsMatch("name:annual", record));
  EXPECT_FALSE(IsMatch("name:report", record));
  EXPECT_FALSE(IsMatch("name:rep*", record));
  EXPECT_TRUE(IsMatch("name=ANNUAL", record));
  EXPECT_FALSE(IsMatch("name=ann", record));
}

TEST(Matcher, CombinesByAndOrAndNot) {
  Record record = File("a b");

  EXPECT_TRUE(IsMatch("a c OR b", record));
  EXPECT_FALSE(IsMatch("a (c OR d)", record));
  EXPECT_TRUE(IsMatch("a -c", record));
  EXPECT_FALSE(IsMatch("-a", record));
  EXPECT_TRUE(IsMatch("-(c OR d)", record));
  EXPECT_TRUE(IsMatch("*", record));
  EXPECT_FALSE(IsMatch("-*", record));
}

TEST(Matcher, ComparesSizesInBytesWithUnits) {
  Record record = File("a");

  EXPECT_TRUE(IsMatch("size:2K", record));
  EXPECT_TRUE(IsMatch("size>2047", record));
  EXPECT_FALSE(IsMatch("size>2048", record));
  EXPECT_TRUE(IsMatch("size>=2048", record));
  EXPECT_FALSE(IsMatch("size<2K", record));
  EXPECT_TRUE(IsMatch("size<=2K", record));
}

TEST(Matcher, GivesSizesToFilesAndDirectoriesOnly) {
  Record peer = File("a");
  peer.kind = RecordKind::kPeer;
  peer.size_bytes = 0;

  EXPECT_FALSE(IsMatch("size<1M", peer));
  EXPECT_TRUE(IsMatch("-size<1M", peer));
}

TEST(Matcher, ComparesAttributesAsNumbersWhereBothAre) {
  Record record = File("a", {{"year", "900"}, {"codec", "AV1"}});

  EXPECT_TRUE(IsMatch("year<2000", record));  // Bytewise it would be above.
  EXPECT_FALSE(IsMatch("year>2000", record));
  EXPECT_TRUE(IsMatch("year<abc", record));
  EXPECT_TRUE(IsMatch("codec:av1", record));
  EXPECT_FALSE(IsMatch("codec:av", record));
  EXPECT_TRUE(IsMatch("codec>AV0", record));
  EXPECT_TRUE(IsMatch("codec:*", record));
  EXPECT_FALSE(IsMatch("lang:*", record));
  EXPECT_FALSE(IsMatch("lang<z", record));
}

TEST(Matcher, CountsDirectoriesAsFiles) {
  Record record = File("a");
  record.kind = RecordKind::kDirectory;

  EXPECT_TRUE(IsMatch("kind:file", record));
  EXPECT_TRUE(IsMatch("kind:directory", record));
  EXPECT_FALSE(IsMatch("kind:peer", record));
  EXPECT_FALSE(IsMatch("kind:directory", File("a")));
}

TEST(Matcher, ComparesIdsByPrefix) {
  Record record = File("a");
  std::string id = record.id.ToText();
  std::string publisher = Publisher().ToText();

  EXPECT_TRUE(IsMatch(absl::StrCat("id:", id), record));
  EXPECT_TRUE(IsMatch(absl::StrCat("id:", id.substr(0, 4)), record));
  EXPECT_FALSE(IsMatch(absl::StrCat("id:", publisher), record));
  EXPECT_TRUE(IsMatch(absl::StrCat("publisher:", publisher.substr(0, 9)), record));
  EXPECT_FALSE(IsMatch(absl::StrCat("publisher:", id), record));
}

TEST(Matcher, NeverFindsAnObjectById) {
  Record object;
  object.kind = RecordKind::kObject;
  object.name = "a";

  EXPECT_FALSE(IsMatch("id:aaaa", object));
}

}  // namespace
}  // namespace panal
