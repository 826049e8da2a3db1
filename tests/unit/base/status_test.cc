#include "common/base/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

namespace panal {
namespace {

using ::testing::MatchesRegex;

const std::vector<ErrorReason>& AllReasons() {
  static const std::vector<ErrorReason>* const all = new std::vector<ErrorReason>{
#define PANAL_REASON(name, wire, code, text) ErrorReason::k##name,
#include "common/base/error_reasons.inc"
#undef PANAL_REASON
  };
  return *all;
}

TEST(ErrorReason, HasNamesThatAreUniqueAndFollowTheRule) {
  std::set<std::string> names;
  for (ErrorReason reason : AllReasons()) {
    std::string name(ReasonName(reason));
    EXPECT_TRUE(names.insert(name).second) << name;
    // google.rpc.ErrorInfo.reason: at most 63 characters of this form.
    EXPECT_THAT(name, MatchesRegex("[A-Z][A-Z0-9_]+[A-Z0-9]"));
    EXPECT_LE(name.size(), 63u);
    EXPECT_NE(name, "UNSPECIFIED");
  }
}

TEST(ErrorReason, IsFoundAgainByItsName) {
  for (ErrorReason reason : AllReasons()) EXPECT_EQ(ReasonFromName(ReasonName(reason)), reason);
  EXPECT_EQ(ReasonFromName(ReasonName(ErrorReason::kUnspecified)), ErrorReason::kUnspecified);
}

TEST(ErrorReason, IsUnspecifiedForANameNobodyKnows) {
  for (absl::string_view name : {"", "block_corrupt", "BLOCK_CORRUPT ", "FROM_A_LATER_VERSION"}) {
    EXPECT_EQ(ReasonFromName(name), ErrorReason::kUnspecified) << name;
  }
}

TEST(ErrorReason, TakesNumbersOutsideTheTableForUnspecified) {
  auto unknown = static_cast<ErrorReason>(9999);
  EXPECT_EQ(ReasonName(unknown), "UNSPECIFIED");
  EXPECT_EQ(CodeOf(unknown), absl::StatusCode::kUnknown);
}

TEST(Error, CarriesReasonCodeMessageAndMetadata) {
  for (ErrorReason reason : AllReasons()) {
    absl::Status status = Error(reason, "what went wrong", {{"block", "3"}, {"limit", ""}});
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(status.code(), CodeOf(reason));
    EXPECT_EQ(ReasonOf(status), reason);
    EXPECT_EQ(status.message(), "what went wrong");
    EXPECT_EQ(MetadataOf(status), (ErrorMetadata{{"block", "3"}, {"limit", ""}}));
    EXPECT_EQ(RetryAfterOf(status), std::nullopt);
  }
}

TEST(Error, KeepsMetadataOfAnyBytes) {
  ErrorMetadata metadata = {{"", "empty key"}, {"a/b", std::string("\0\xff\n", 3)}};
  EXPECT_EQ(MetadataOf(Error(ErrorReason::kInternal, "m", metadata)), metadata);
}

TEST(Error, HasTheCodesThatCallersRelyOn) {
  EXPECT_EQ(CodeOf(ErrorReason::kBlockCorrupt), absl::StatusCode::kDataLoss);
  EXPECT_EQ(CodeOf(ErrorReason::kOverloaded), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(CodeOf(ErrorReason::kPeerUnreachable), absl::StatusCode::kUnavailable);
}

TEST(Error, IsUnknownWhereNoReasonIsGiven) {
  absl::Status status = Error(ErrorReason::kUnspecified, "m");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kUnspecified);
}

TEST(ReasonOf, IsUnspecifiedForStatusesOfOthers) {
  for (const absl::Status& status : {absl::OkStatus(), absl::NotFoundError("x")}) {
    EXPECT_EQ(ReasonOf(status), ErrorReason::kUnspecified);
    EXPECT_TRUE(MetadataOf(status).empty());
    EXPECT_EQ(RetryAfterOf(status), std::nullopt);
  }
}

TEST(OverloadedError, SaysWhenToRetry) {
  absl::Status status = OverloadedError("queue of 100 calls is full", absl::Milliseconds(250));
  EXPECT_EQ(ReasonOf(status), ErrorReason::kOverloaded);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(RetryAfterOf(status), absl::Milliseconds(250));
  EXPECT_TRUE(MetadataOf(status).empty());
}

TEST(Annotate, PutsTheContextFirstAndKeepsTheRest) {
  absl::Status inner = Error(ErrorReason::kFileNotFound, "no such file", {{"id", "x"}});
  absl::Status outer = Annotate(Annotate(inner, "block 3"), "fetch");
  EXPECT_EQ(outer.message(), "fetch: block 3: no such file");
  EXPECT_EQ(outer.code(), inner.code());
  EXPECT_EQ(ReasonOf(outer), ErrorReason::kFileNotFound);
  EXPECT_EQ(MetadataOf(outer), MetadataOf(inner));

  absl::Status overloaded = Annotate(OverloadedError("full", absl::Seconds(1)), "call");
  EXPECT_EQ(RetryAfterOf(overloaded), absl::Seconds(1));
}

TEST(Annotate, LeavesSuccessAlone) { EXPECT_TRUE(Annotate(absl::OkStatus(), "fetch").ok()); }

absl::Status ReturnsEarly(const absl::Status& status, bool& reached_end) {
  PANAL_RETURN_IF_ERROR(status);
  reached_end = true;
  return absl::OkStatus();
}

TEST(ReturnIfError, ReturnsOnlyErrors) {
  bool reached_end = false;
  EXPECT_EQ(ReasonOf(ReturnsEarly(Error(ErrorReason::kInternal, "m"), reached_end)),
            ErrorReason::kInternal);
  EXPECT_FALSE(reached_end);
  EXPECT_TRUE(ReturnsEarly(absl::OkStatus(), reached_end).ok());
  EXPECT_TRUE(reached_end);
}

absl::StatusOr<int> Sum(absl::StatusOr<std::unique_ptr<int>> a, absl::StatusOr<int> b) {
  PANAL_ASSIGN_OR_RETURN(std::unique_ptr<int> first, std::move(a));
  PANAL_ASSIGN_OR_RETURN(int second, b);
  return *first + second;
}

TEST(AssignOrReturn, AssignsValuesAndReturnsErrors) {
  EXPECT_EQ(*Sum(std::make_unique<int>(1), 2), 3);
  EXPECT_EQ(ReasonOf(Sum(Error(ErrorReason::kInternal, "m"), 2).status()), ErrorReason::kInternal);
  EXPECT_EQ(ReasonOf(Sum(std::make_unique<int>(1), Error(ErrorReason::kCancelled, "m")).status()),
            ErrorReason::kCancelled);
}

}  // namespace
}  // namespace panal
