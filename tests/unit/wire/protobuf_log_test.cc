#include "common/wire/protobuf_log.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/wire/frame_codec.h"

namespace panal {
namespace {

TEST(ProtobufLog, SaysNothingAboutTextThatIsNotUtf8) {
  LimitProtobufLog();
  testing::internal::CaptureStderr();

  // An OpenStream whose method is one byte that is not UTF-8.
  absl::StatusOr<std::optional<Frame>> frame = DecodeFrame("\x7a\x03\x0a\x01\xff");

  EXPECT_EQ(ReasonOf(frame.status()), ErrorReason::kFrameInvalid);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace panal
