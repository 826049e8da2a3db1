// Internal to common/wire: takes fields of a message within their ranges. The first that is out of
// its range decides status(); from then on what is returned means nothing. Check status() once, at
// the end.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/base/ids.h"
#include "common/model/page.h"
#include "common/model/record.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "panal/v1/frames.pb.h"

namespace panal::internal {

using Strings = google::protobuf::RepeatedPtrField<std::string>;
using Contacts = google::protobuf::RepeatedPtrField<v1::PeerContact>;

class FieldReader {
 public:
  // `message` is the name that errors begin with; it must outlive the reader.
  explicit FieldReader(absl::string_view message) : message_(message) {}

  const absl::Status& status() const { return status_; }

  // Notes that `field` is out of its range. `limit` says what it should be (`at most 16`).
  void Refuse(absl::string_view field, absl::string_view value, absl::string_view limit);
  // Notes that `field` holds something that is invalid for the reason `why`.
  void Refuse(absl::string_view field, const absl::Status& why);

  uint32_t Count(absl::string_view field, uint64_t value, uint64_t least, uint64_t most);
  // Finite and in [least, most].
  double Real(absl::string_view field, double value, double least, double most);
  // Finite, 0 and above.
  double Mass(absl::string_view field, double value);
  std::string Text(absl::string_view field, const std::string& value, size_t least, size_t most);
  // Exactly 32 bytes.
  PeerId Id(absl::string_view field, const std::string& value);
  std::vector<PeerId> Ids(absl::string_view field, const Strings& values, size_t least,
                          size_t most);
  std::vector<std::string> Texts(absl::string_view field, const Strings& values, size_t count_max,
                                 size_t size_max);
  std::vector<std::string> Addresses(absl::string_view field, const Strings& values);
  PeerContact Contact(absl::string_view field, const v1::PeerContact& value);
  std::vector<PeerContact> Sample(absl::string_view field, const Contacts& values);
  // A page, whose body must be there where `needs_body`. Null when it is invalid.
  PagePtr SignedPage(absl::string_view field, const v1::SignedPage& value, bool needs_body);

 private:
  const absl::string_view message_;
  absl::Status status_;
};

}  // namespace panal::internal
