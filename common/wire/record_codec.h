// Records, hits and contacts between values and their wire form (proto/panal/v1/frames.proto). What
// is decoded here is within the limits of common/model/record.h.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/model/record.h"

namespace panal {

namespace v1 {
class HitRecord;
class PeerContact;
class Record;
}  // namespace v1

// Each overwrites `*message`. REQUIRES: the value is within its limits.
void ToProto(const Record& record, v1::Record* message);
void ToProto(const Hit& hit, v1::HitRecord* message);
void ToProto(const PeerContact& contact, v1::PeerContact* message);

// Nothing for a record of a kind that is not known, which is to be skipped. Errors: RECORD_INVALID,
// ATTRIBUTE_INVALID, FILE_NAME_INVALID.
absl::StatusOr<std::optional<Record>> FromProto(const v1::Record& message);
absl::StatusOr<std::optional<Hit>> FromProto(const v1::HitRecord& message);
// Error: RECORD_INVALID.
absl::StatusOr<PeerContact> FromProto(const v1::PeerContact& message);

// Serialized v1::Record; equal records give equal bytes.
std::string EncodeRecord(const Record& record);
// As FromProto; RECORD_INVALID also where the bytes do not parse.
absl::StatusOr<std::optional<Record>> DecodeRecord(absl::string_view bytes);
// Serialized v1::HitRecord; equal hits give equal bytes.
std::string EncodeHit(const Hit& hit);
// As FromProto; RECORD_INVALID also where the bytes do not parse.
absl::StatusOr<std::optional<Hit>> DecodeHit(absl::string_view bytes);

}  // namespace panal
