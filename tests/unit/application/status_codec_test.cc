#include "common/wire/status_codec.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "panal/v1/errors.pb.h"
#include "server/application/call.h"

namespace panal {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

v1::Status Parse(const std::string& details) {
  v1::Status status;
  EXPECT_TRUE(status.ParseFromString(details));
  return status;
}

std::vector<std::string> TypesIn(const v1::Status& status) {
  std::vector<std::string> types;
  for (const auto& any : status.details()) types.push_back(any.type_url());
  return types;
}

absl::Status RoundTrip(const absl::Status& status) {
  const CallResult result = ResultOf(status);
  return DecodeStatusDetails(result.code, result.message, result.details);
}

TEST(StatusCodec, PacksTheReasonUnderGooglesTypeUrl) {
  const absl::Status error = Error(ErrorReason::kFileNotFound, "no file abcd", {{"id", "abcd"}});

  const v1::Status wire = Parse(EncodeStatusDetails(error));

  EXPECT_EQ(wire.code(), 5);
  EXPECT_EQ(wire.message(), "no file abcd");
  EXPECT_THAT(TypesIn(wire), ElementsAre("type.googleapis.com/google.rpc.ErrorInfo",
                                         "type.googleapis.com/google.rpc.ResourceInfo"));
  v1::ErrorInfo info;
  ASSERT_TRUE(info.ParseFromString(wire.details(0).value()));
  EXPECT_EQ(info.reason(), "FILE_NOT_FOUND");
  EXPECT_EQ(info.domain(), "panal");
  EXPECT_EQ(info.metadata().at("id"), "abcd");
  v1::ResourceInfo resource;
  ASSERT_TRUE(resource.ParseFromString(wire.details(1).value()));
  EXPECT_EQ(resource.resource_type(), "file");
  EXPECT_EQ(resource.resource_name(), "abcd");
}

TEST(StatusCodec, GivesReasonAndValuesBack) {
  const absl::Status back =
      RoundTrip(Error(ErrorReason::kRangeInvalid, "offset 9 of 3", {{"size", "3"}}));

  EXPECT_EQ(back.code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(back.message(), "offset 9 of 3");
  EXPECT_EQ(ReasonOf(back), ErrorReason::kRangeInvalid);
  EXPECT_THAT(MetadataOf(back), ElementsAre(Pair("size", "3")));
}

TEST(StatusCodec, GivesTheRetryDelayBack) {
  const absl::Status back = RoundTrip(OverloadedError("busy", absl::Milliseconds(1250)));

  EXPECT_EQ(ReasonOf(back), ErrorReason::kOverloaded);
  EXPECT_EQ(RetryAfterOf(back), absl::Milliseconds(1250));
}

TEST(StatusCodec, GivesEveryFieldViolationBack) {
  const std::vector<FieldViolation> violations = {{"limit", "20000 exceeds 10000"},
                                                  {"recall", "2 is above 1"}};

  const absl::Status back = RoundTrip(BadRequestError(violations));

  EXPECT_EQ(ReasonOf(back), ErrorReason::kArgumentInvalid);
  EXPECT_EQ(FieldViolationsOf(back), violations);
}

TEST(StatusCodec, NamesAsManyViolationsAsItsLimitAndNoMore) {
  std::vector<FieldViolation> violations;
  for (size_t i = 0; i <= kFieldViolationsMax; ++i) {
    violations.push_back({absl::StrCat("field", i), "wrong"});
  }

  EXPECT_EQ(FieldViolationsOf(BadRequestError(violations)).size(), kFieldViolationsMax);
  violations.pop_back();
  EXPECT_EQ(FieldViolationsOf(BadRequestError(violations)).size(), kFieldViolationsMax);
}

TEST(StatusCodec, GivesAReasonToAStatusThatHasNone) {
  const absl::Status cancelled(absl::StatusCode::kCancelled, "gone");
  const absl::Status broken(absl::StatusCode::kInternal, "bug");

  EXPECT_EQ(ReasonOf(RoundTrip(cancelled)), ErrorReason::kCancelled);
  EXPECT_EQ(ReasonOf(RoundTrip(broken)), ErrorReason::kInternal);
}

TEST(StatusCodec, LeavesOkEmpty) {
  const CallResult result = ResultOf(absl::OkStatus());

  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.details, "");
  EXPECT_TRUE(DecodeStatusDetails(0, "", "junk").ok());
}

TEST(StatusCodec, CutsWhatIsTooLongAndKeepsTheReason) {
  ErrorMetadata metadata;
  for (int i = 0; i < 100; ++i) metadata[absl::StrCat("key", i)] = std::string(1000, 'x');
  const absl::Status large = Error(ErrorReason::kPathNotFound, std::string(100'000, 'm'), metadata);

  const CallResult result = ResultOf(large);

  EXPECT_LE(result.message.size(), kStatusMessageSizeMax);
  EXPECT_LE(result.details.size(), kStatusDetailsSizeMax);
  EXPECT_EQ(ReasonOf(DecodeStatusDetails(result.code, result.message, result.details)),
            ErrorReason::kPathNotFound);
}

TEST(StatusCodec, CutsAMessageBetweenCharacters) {
  std::string text(kStatusMessageSizeMax - 1, 'a');
  text += "é";

  EXPECT_EQ(StatusMessageOf(Error(ErrorReason::kInternal, text)),
            std::string(kStatusMessageSizeMax - 1, 'a'));
}

TEST(StatusCodec, KeepsCodeAndMessageWhereDetailsDoNotDecode) {
  const absl::Status status = DecodeStatusDetails(14, "down", "\xff\xff\xff");

  EXPECT_EQ(status, absl::Status(absl::StatusCode::kUnavailable, "down"));
  EXPECT_EQ(DecodeStatusDetails(99, "odd", "").code(), absl::StatusCode::kUnknown);
}

TEST(StatusCodec, IgnoresDetailsOfOtherDomainsAndTypes) {
  v1::Status wire;
  v1::ErrorInfo info;
  info.set_reason("OVERLOADED");
  info.set_domain("example.org");
  auto* any = wire.add_details();
  any->set_type_url("type.googleapis.com/google.rpc.ErrorInfo");
  any->set_value(info.SerializeAsString());
  wire.add_details()->set_type_url("type.example.org/Thing");

  const absl::Status status = DecodeStatusDetails(8, "busy", wire.SerializeAsString());

  EXPECT_EQ(ReasonOf(status), ErrorReason::kUnspecified);
}

TEST(StatusCodec, ReadsDetailsUpToItsLimitAndNoFurther) {
  v1::Status wire;
  auto* any = wire.add_details();
  any->set_type_url("type.googleapis.com/google.rpc.ErrorInfo");
  v1::ErrorInfo info;
  info.set_reason("OVERLOADED");
  info.set_domain("panal");
  any->set_value(info.SerializeAsString());
  // The bytes that the field itself needs: one of tag, two of length.
  wire.set_message(std::string(kStatusDetailsDecodeMax - wire.ByteSizeLong() - 3, 'm'));
  ASSERT_EQ(wire.ByteSizeLong(), kStatusDetailsDecodeMax);
  EXPECT_EQ(ReasonOf(DecodeStatusDetails(8, "busy", wire.SerializeAsString())),
            ErrorReason::kOverloaded);

  wire.set_message(wire.message() + "m");

  EXPECT_EQ(ReasonOf(DecodeStatusDetails(8, "busy", wire.SerializeAsString())),
            ErrorReason::kUnspecified);
}

}  // namespace
}  // namespace panal
