#include "common/rpc/status_convert.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace panal {
namespace {

TEST(StatusConvert, CarriesReasonValuesAndDelayThereAndBack) {
  const absl::Status lost = Error(ErrorReason::kFileNotFound, "no file x", {{"id", "x"}});
  const absl::Status busy = OverloadedError("busy", absl::Milliseconds(1500));

  const absl::Status lost_again = FromGrpcStatus(ToGrpcStatus(lost));
  const absl::Status busy_again = FromGrpcStatus(ToGrpcStatus(busy));

  EXPECT_EQ(lost_again.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(lost_again.message(), "no file x");
  EXPECT_EQ(ReasonOf(lost_again), ErrorReason::kFileNotFound);
  EXPECT_EQ(MetadataOf(lost_again), (ErrorMetadata{{"id", "x"}}));
  EXPECT_EQ(RetryAfterOf(busy_again), absl::Milliseconds(1500));
}

TEST(StatusConvert, KeepsOk) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST(StatusConvert, FindsTheReasonOfWhatGrpcSaysItself) {
  const grpc::Status mismatch(grpc::StatusCode::UNAVAILABLE, "verify: peer id mismatch: expected");
  const grpc::Status late(grpc::StatusCode::DEADLINE_EXCEEDED, "late");

  EXPECT_EQ(ReasonOf(FromGrpcStatus(mismatch)), ErrorReason::kPeerIdMismatch);
  EXPECT_EQ(ReasonOf(FromGrpcStatus(late)), ErrorReason::kDeadlineExceeded);
}

TEST(StreamEnd, TellsUnreachableFromLost) {
  const grpc::Status unavailable(grpc::StatusCode::UNAVAILABLE, "refused");

  EXPECT_EQ(ReasonOf(StreamEnd(unavailable, false)), ErrorReason::kPeerUnreachable);
  EXPECT_EQ(ReasonOf(StreamEnd(unavailable, true)), ErrorReason::kConnectionLost);
}

TEST(StreamEnd, IsNeverOk) {
  EXPECT_EQ(ReasonOf(StreamEnd(grpc::Status::OK, true)), ErrorReason::kConnectionLost);
}

TEST(StreamEnd, KeepsTheReasonOfTheOtherEnd) {
  const grpc::Status refused = ToGrpcStatus(Error(ErrorReason::kMeshMismatch, "other mesh"));

  EXPECT_EQ(ReasonOf(StreamEnd(refused, false)), ErrorReason::kMeshMismatch);
}

}  // namespace
}  // namespace panal
