// Descriptors of google.rpc.Status and of its details, so that reflection can serve them and tools
// like grpcurl show an error's details decoded (docs/protocol/errors.md).
//
// They live in a pool of their own: Panal's messages are only wire-compatible with them
// (proto/panal/v1/errors.proto), and generated ones would clash with those of a program that links
// googleapis.
#pragma once

#include "google/protobuf/descriptor.h"

namespace panal {

// Every descriptor of the program, and those of google/rpc/status.proto and
// google/rpc/error_details.proto: the program's own where it has them. Thread-safe; lives as long
// as the process.
const google::protobuf::DescriptorPool& PoolWithStatusTypes();

}  // namespace panal
