#include "server/data/catalog/query_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/catalog_support.h"

namespace panal::catalog {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string ExpressionFor(absl::string_view query) {
  QueryPlan plan = PlanQuery(catalog_test::ParseOrDie(query), 0);
  for (const Value& value : plan.values) {
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
  }
  return "";
}

std::string SqlFor(absl::string_view query) {
  return PlanQuery(catalog_test::ParseOrDie(query), 0).sql;
}

TEST(QueryPlan, AsksTheIndexForWhatEveryMatchHolds) {
  EXPECT_EQ(ExpressionFor("alpha"), "\"alpha\"");
  EXPECT_EQ(ExpressionFor("alpha beta"), "(\"alpha\" AND \"beta\")");
  EXPECT_EQ(ExpressionFor("alpha OR beta"), "(\"alpha\" OR \"beta\")");
  EXPECT_EQ(ExpressionFor("\"alpha beta\""), "\"alpha beta\"");
  EXPECT_EQ(ExpressionFor("alp*"), "\"alp\" *");
  EXPECT_EQ(ExpressionFor("alpha -beta"), "(\"alpha\")");
  EXPECT_EQ(ExpressionFor("alpha size>1M"), "(\"alpha\")");
}

TEST(QueryPlan, AsksForNothingWhereAMatchNeedsNoWord) {
  for (const char* query : {"-alpha", "*", "kind:file", "size>1M", "alpha OR -beta", "a*"}) {
    EXPECT_EQ(ExpressionFor(query), "") << query;
  }
}

TEST(QueryPlan, TakesTheIndexOfIdsAndOfRareKinds) {
  EXPECT_THAT(SqlFor("id:abcd"), HasSubstr("INDEXED BY record_id"));
  EXPECT_THAT(SqlFor("kind:peer"), HasSubstr("INDEXED BY record_peer"));
  EXPECT_THAT(SqlFor("kind:object"), HasSubstr("INDEXED BY record_object"));
  EXPECT_THAT(SqlFor("kind:file"), HasSubstr("NOT INDEXED"));
  EXPECT_THAT(SqlFor("id:abcd OR id:bcde"), HasSubstr("NOT INDEXED"));
  EXPECT_THAT(SqlFor("alpha kind:peer"), HasSubstr("r.kind = 4"));
}

// Every plan must be one that SQLite takes: INDEXED BY fails where the index does not serve.
TEST(QueryPlan, IsValidSql) {
  catalog_test::TempDir dir;
  auto catalog = catalog_test::OpenOrDie(catalog_test::OptionsIn(dir));
  for (const char* query :
       {"id:abcd", "kind:peer", "kind:object", "kind:file", "kind:peer id:abcd", "size>1M size<2M",
        "alpha kind:object id:abcd -beta size>=1", "\"a b\" c*", "*", "lang:en", "x OR (y -z)"}) {
    auto result =
        catalog->Search(catalog_test::ParseOrDie(query), 10, absl::Seconds(10), catalog_test::kNow);
    EXPECT_TRUE(result.ok()) << query << ": " << result.status();
  }
}

}  // namespace
}  // namespace panal::catalog
