#include "server/data/catalog/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/model/digest.h"
#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const PeerId kPublisher = Peer("publisher");

SearchResult Find(Catalog& catalog, absl::string_view query, int limit = 100,
                  absl::Duration time_max = absl::Minutes(1), absl::Time now = kNow) {
  auto result = catalog.Search(ParseOrDie(query), limit, time_max, now);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : SearchResult();
}

void Keep(Catalog& catalog, uint32_t number, std::vector<Record> records,
          absl::Time expires = kNow + kPageLifetime) {
  auto kept =
      catalog.StorePage(MakePage(kPublisher, number, 1, std::move(records), expires), true, kNow);
  ASSERT_TRUE(kept.ok() && *kept == StorePageResult::kStored) << kept.status();
}

TEST(Search, FindsOwnAndKeptRecords) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish({MakeFile("own report.txt")}).ok());
  SignDirtyPages(*catalog, Peer("self"));
  Keep(*catalog, 1, {MakeRecord("Kept Report"), MakeRecord("else")});

  EXPECT_THAT(Names(*catalog, "report"), ElementsAre("Kept Report", "own report.txt"));
}

std::vector<std::string> Arrived(Catalog& catalog, absl::string_view query, absl::Time now,
                                 absl::Duration within) {
  auto result = catalog.SearchArrivals(ParseOrDie(query), 100, absl::Minutes(1), now, within);
  EXPECT_TRUE(result.ok()) << result.status();
  std::vector<std::string> names;
  if (!result.ok()) return names;
  for (const Hit& hit : result->hits) names.push_back(hit.record.name);
  std::sort(names.begin(), names.end());
  return names;
}

TEST(SearchArrivals, FindsWhatCameOrChangedSince) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  auto keep = [&](uint64_t version, std::vector<Record> records, absl::Time now) {
    auto kept = catalog->KeepPage(
        MakePage(kPublisher, 1, version, std::move(records), kNow + kPageLifetime), true, now);
    EXPECT_TRUE(kept.ok()) << kept.status();
    return kept.ok() ? kept->fresh : std::vector<uint32_t>();
  };
  Record first = MakeRecord("report 1");
  Record second = MakeRecord("report 2");
  first.version = second.version = 1;
  EXPECT_THAT(keep(1, {first, second}, kNow), ElementsAre(0, 1));

  second.version = 2;
  second.size_bytes += 1;
  Record third = MakeRecord("report 3");
  third.version = 2;
  const absl::Time later = kNow + absl::Minutes(1);
  EXPECT_THAT(keep(2, {third, first, second}, later), ElementsAre(0, 2));

  EXPECT_THAT(Arrived(*catalog, "report", later, absl::Seconds(1)),
              ElementsAre("report 2", "report 3"));
  EXPECT_THAT(Arrived(*catalog, "report", later, absl::Minutes(1)),
              ElementsAre("report 1", "report 2", "report 3"));
  EXPECT_THAT(Arrived(*catalog, "report size>0 -3", later, absl::Seconds(1)),
              ElementsAre("report 2"));
  EXPECT_THAT(Arrived(*catalog, "else", later, absl::Minutes(1)), IsEmpty());
  // A refresh brings nothing new, and an expired page is void.
  EXPECT_THAT(keep(2, {third, first, second}, later + absl::Minutes(1)), IsEmpty());
  EXPECT_THAT(Arrived(*catalog, "report", kNow + kPageLifetime, absl::Hours(1)), IsEmpty());
}

TEST(SearchArrivals, FindsOwnRecordsAndFillsInAddresses) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish({MakeFile("own report.txt")}).ok());
  SignDirtyPages(*catalog, Peer("self"));
  Keep(*catalog, 0, {MakePeerRecord(kPublisher, {"host:1"})});

  // They came by the clock of the machine, which is past kNow.
  EXPECT_THAT(Arrived(*catalog, "report", kNow, absl::ZeroDuration()),
              ElementsAre("own report.txt"));
  std::vector<Hit> hits = {{MakeRecord("any"), {kPublisher, {}}}};
  ASSERT_TRUE(catalog->AddAddresses(hits).ok());
  EXPECT_THAT(hits[0].publisher.addresses, ElementsAre("host:1"));
}

TEST(Search, ListsWhatADigestHoldsOfAllRecords) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  ASSERT_TRUE(catalog->Publish({MakeFile("own report.txt")}).ok());
  SignDirtyPages(*catalog, Peer("self"));
  const Record kept = MakeRecord("Résumé 東京", RecordKind::kFile, {{"lang", "EN us"}});
  Keep(*catalog, 1, {kept});
  Keep(*catalog, 2, {MakeRecord("dropped")}, kNow + absl::Seconds(1));
  ASSERT_TRUE(catalog->DropExpiredPages(kNow + absl::Minutes(1)).ok());

  const std::vector<uint32_t> hashes = *catalog->DigestHashes(100);

  auto has = [&](uint32_t hash) { return absl::c_count(hashes, hash) == 1; };
  ForEachDigestHash(kept, [&](uint32_t hash) { EXPECT_TRUE(has(hash)); });
  for (const char* term : {"own", "report", "txt", "resume", "en"}) {
    EXPECT_TRUE(has(DigestHash(term))) << term;
  }
  for (const char* term : {"dropped", "résumé", "re", "rep"}) {
    EXPECT_FALSE(has(DigestHash(term))) << term;
  }
  // Two ids, own report txt resume 東 京 en us, and the attribute's key, which the index has too.
  EXPECT_EQ(hashes.size(), 11u);
  EXPECT_EQ(catalog->DigestHashes(11)->size(), 11u);
  EXPECT_EQ(catalog->DigestHashes(5)->size(), 6u);
  EXPECT_EQ(catalog->DigestHashes(0)->size(), 1u);
}

TEST(Search, GivesWhatTheMatcherSaysForEveryKindOfQuery) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Record big = MakeRecord("Résumé big_file.tar.gz", RecordKind::kFile, {{"lang", "EN us"}});
  big.size_bytes = 5 << 20;
  Record object = MakeRecord("thumbnailer", RecordKind::kObject, {{"gpu", "yes"}, {"lang", "en"}});
  object.id = {};
  Record peer = MakePeerRecord(kPublisher, {"host:1"});
  Record folder = MakeRecord("日本語 photos", RecordKind::kDirectory, {{"year", "2021"}});
  std::vector<Record> records = {big, object, peer, folder};
  Keep(*catalog, 0, records);
  std::vector<std::string> queries = {"resume",
                                      "RESUME",
                                      "\"big file\"",
                                      "\"file big\"",
                                      "bi*",
                                      "b*",
                                      "lang:en",
                                      "lang:\"en us\"",
                                      "lang=en",
                                      "-resume",
                                      "resume OR photos",
                                      "(resume OR photos) size>1M",
                                      "size<=5M",
                                      "size>=5M",
                                      "size=5M",
                                      "kind:file",
                                      "kind:object",
                                      "kind:peer",
                                      "kind:directory",
                                      "*",
                                      "gpu:yes",
                                      "year>2000",
                                      "year<2000",
                                      "日",
                                      "日本",
                                      "tar.gz",
                                      "name:photos",
                                      "photos -year:2021",
                                      "us",
                                      "gpu",
                                      "id:" + big.id.ToText().substr(0, 4),
                                      "id:" + kPublisher.ToText(),
                                      "publisher:" + kPublisher.ToText().substr(0, 6)};
  for (const std::string& text : queries) {
    auto query = Query::Parse(text);
    if (!query.ok()) continue;  // What the grammar takes is not the catalog's business.
    std::vector<std::string> expected;
    for (const Record& record : records) {
      if (Matches(*query, record, kPublisher)) expected.push_back(record.name);
    }
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(Names(*catalog, text), expected) << text;
  }
}

TEST(Search, DoesNotSeeExpiredPages) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Keep(*catalog, 1, {MakeRecord("short lived")}, kNow + absl::Seconds(10));
  Keep(*catalog, 2, {MakeRecord("long lived")}, kNow + absl::Seconds(20));

  EXPECT_THAT(Names(*catalog, "lived", kNow + absl::Seconds(10)), ElementsAre("long lived"));
  EXPECT_THAT(Names(*catalog, "*", kNow + absl::Seconds(20)), IsEmpty());
}

TEST(Search, SaysWhenItsLimitCutIt) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Keep(*catalog, 1, {MakeRecord("word 1"), MakeRecord("word 2"), MakeRecord("word 3")});

  EXPECT_THAT(Find(*catalog, "word", 3).hits, SizeIs(3));
  EXPECT_FALSE(Find(*catalog, "word", 3).truncated);
  EXPECT_THAT(Find(*catalog, "word", 2).hits, SizeIs(2));
  EXPECT_TRUE(Find(*catalog, "word", 2).truncated);
  EXPECT_TRUE(Find(*catalog, "word", 0).truncated);
  EXPECT_FALSE(Find(*catalog, "nothing", 0).truncated);
}

TEST(Search, ItsLimitCountsIdsAndNotWhoPublishesThem) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Record shared = MakeRecord("word shared");
  for (int i = 0; i < 5; ++i) {
    auto page = MakePage(Peer(absl::StrCat("publisher ", i)), 1, 1, {shared}, kNow + kPageLifetime);
    ASSERT_TRUE(catalog->StorePage(page, true, kNow).ok());
  }
  Keep(*catalog, 1, {MakeRecord("word 1"), MakeRecord("word 2")});

  EXPECT_THAT(Find(*catalog, "word", 3).hits, SizeIs(7));
  EXPECT_FALSE(Find(*catalog, "word", 3).truncated);
  EXPECT_TRUE(Find(*catalog, "word", 2).truncated);
  EXPECT_THAT(Find(*catalog, "shared", 1).hits, SizeIs(5));
}

TEST(Search, SaysWhenItsTimeCutIt) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Keep(*catalog, 1, {MakeRecord("word")});

  SearchResult result = Find(*catalog, "word", 10, absl::ZeroDuration());

  EXPECT_TRUE(result.out_of_time);
  EXPECT_FALSE(Find(*catalog, "word", 10, absl::InfiniteDuration()).out_of_time);
}

TEST(Search, IsStoppedInsideSqliteToo) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  for (uint32_t page = 1; page <= 200; ++page) {
    Keep(*catalog, page, std::vector<Record>(kPageRecordsMax, MakeRecord("word")));
  }

  // SQLite itself discards every record: no candidate reaches the loop that looks at the clock.
  SearchResult result = Find(*catalog, "size>1G", 10, absl::Microseconds(300));

  EXPECT_TRUE(result.out_of_time);
  EXPECT_THAT(result.hits, IsEmpty());
  EXPECT_FALSE(Find(*catalog, "word", 10).out_of_time);
}

TEST(Search, PutsShortNamesFirst) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Keep(*catalog, 1, {MakeRecord("word in a long name"), MakeRecord("word"), MakeRecord("a word")});

  SearchResult result = Find(*catalog, "word");

  ASSERT_THAT(result.hits, SizeIs(3));
  EXPECT_EQ(result.hits[0].record.name, "word");
  EXPECT_EQ(result.hits[1].record.name, "a word");
}

TEST(Search, SendsTheAddressesOfThePublisherAlong) {
  TempDir dir;
  auto catalog = OpenOrDie(OptionsIn(dir));
  Keep(*catalog, 1, {MakeRecord("word")});
  EXPECT_EQ(Find(*catalog, "word").hits[0].publisher, (PeerContact{kPublisher, {}}));

  Keep(*catalog, 0, {MakePeerRecord(kPublisher, {"host:1"})});

  EXPECT_EQ(Find(*catalog, "word").hits[0].publisher, (PeerContact{kPublisher, {"host:1"}}));
}

}  // namespace
}  // namespace panal::catalog_test
