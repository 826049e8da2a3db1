#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

FactPtr Fact(const std::string& bytes) {
  VerifiedFact fact;
  fact.bytes = bytes;
  fact.id = Sha256(bytes);
  return std::make_shared<const VerifiedFact>(std::move(fact));
}

TEST(Facts, AreKeptAcrossARestartAndForgottenWhenTold) {
  TempDir dir;
  const FactPtr one = Fact(std::string("\0one", 4));
  const FactPtr other = Fact("other");
  {
    auto catalog = OpenOrDie(OptionsIn(dir));
    ASSERT_TRUE(catalog->KeepFacts({one, other}).ok());
    ASSERT_TRUE(catalog->KeepFacts({one}).ok());  // Again: nothing.
  }

  auto catalog = OpenOrDie(OptionsIn(dir));

  EXPECT_THAT(*catalog->KeptFacts(), UnorderedElementsAre(one->bytes, other->bytes));
  ASSERT_TRUE(catalog->ForgetFacts({one->id, Sha256("nobody's")}).ok());
  EXPECT_THAT(*catalog->KeptFacts(), UnorderedElementsAre(other->bytes));
  ASSERT_TRUE(catalog->ForgetFacts({other->id}).ok());
  EXPECT_THAT(*catalog->KeptFacts(), IsEmpty());
}

}  // namespace
}  // namespace panal::catalog_test
