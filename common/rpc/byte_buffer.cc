#include "common/rpc/byte_buffer.h"

#include <grpcpp/support/slice.h>

#include <cstdint>
#include <vector>

#include "common/base/check.h"

namespace panal {
namespace {

std::vector<grpc::Slice> SlicesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  // Fails only for compressed buffers that do not decompress; the ports refuse compression.
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) slices.clear();
  return slices;
}

}  // namespace

grpc::ByteBuffer ToByteBuffer(absl::string_view bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size());
  return grpc::ByteBuffer(&slice, 1);
}

grpc::ByteBuffer ToByteBuffer(const google::protobuf::MessageLite& message) {
  const size_t size = message.ByteSizeLong();
  PANAL_CHECK(size < (size_t{1} << 31));
  grpc_slice raw = grpc_slice_malloc(size);
  message.SerializeWithCachedSizesToArray(GRPC_SLICE_START_PTR(raw));
  const grpc::Slice slice(raw, grpc::Slice::STEAL_REF);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::string bytes;
  bytes.reserve(buffer.Valid() ? buffer.Length() : 0);
  for (const grpc::Slice& slice : SlicesOf(buffer)) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

bool Parse(const grpc::ByteBuffer& buffer, google::protobuf::MessageLite& message) {
  grpc::Slice single;
  // The common case: one slice, parsed where it lies.
  if (buffer.Valid() && buffer.TrySingleSlice(&single).ok()) {
    return message.ParseFromArray(single.begin(), static_cast<int>(single.size()));
  }
  return message.ParseFromString(ToString(buffer));
}

}  // namespace panal
