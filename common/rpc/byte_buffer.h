// Messages of generic streams as strings and protobuf messages.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace panal {

// One slice that owns a copy of `bytes`.
grpc::ByteBuffer ToByteBuffer(absl::string_view bytes);
// `message`, serialized into one slice. REQUIRES: below 2 GiB.
grpc::ByteBuffer ToByteBuffer(const google::protobuf::MessageLite& message);

// All bytes of `buffer`. One copy.
std::string ToString(const grpc::ByteBuffer& buffer);

// Parses `buffer` as `message`. False: it does not decode.
bool Parse(const grpc::ByteBuffer& buffer, google::protobuf::MessageLite& message);

}  // namespace panal
