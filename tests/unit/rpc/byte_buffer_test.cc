#include "common/rpc/byte_buffer.h"

#include <gtest/gtest.h>

#include "panal/v1/errors.pb.h"

namespace panal {
namespace {

TEST(ByteBuffer, KeepsEveryByteOfAString) {
  const std::string bytes("a\0b\xff", 4);

  EXPECT_EQ(ToString(ToByteBuffer(bytes)), bytes);
}

TEST(ByteBuffer, IsEmptyForAnEmptyString) {
  EXPECT_EQ(ToByteBuffer("").Length(), 0u);
  EXPECT_EQ(ToString(ToByteBuffer("")), "");
}

TEST(ByteBuffer, JoinsSlices) {
  const grpc::Slice slices[] = {grpc::Slice("one "), grpc::Slice("two")};

  EXPECT_EQ(ToString(grpc::ByteBuffer(slices, 2)), "one two");
}

TEST(ByteBuffer, RoundTripsAMessageThroughOneAndManySlices) {
  v1::ErrorInfo info;
  info.set_reason("R");
  info.set_domain("panal");
  const std::string bytes = info.SerializeAsString();
  const grpc::Slice halves[] = {grpc::Slice(bytes.substr(0, 3)), grpc::Slice(bytes.substr(3))};

  v1::ErrorInfo whole;
  v1::ErrorInfo parts;

  ASSERT_TRUE(Parse(ToByteBuffer(info), whole));
  ASSERT_TRUE(Parse(grpc::ByteBuffer(halves, 2), parts));
  EXPECT_EQ(whole.domain(), "panal");
  EXPECT_EQ(parts.domain(), "panal");
}

TEST(ByteBuffer, RefusesBytesThatAreNoMessage) {
  v1::ErrorInfo info;

  EXPECT_FALSE(Parse(ToByteBuffer(absl::string_view("\xff\xff\xff")), info));
}

}  // namespace
}  // namespace panal
