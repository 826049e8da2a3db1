// What must hold for any bytes that a decoder is given. Each aborts where it does not. Used by
// tests over random bytes and by the fuzzers of tests/fuzz.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"

namespace panal {

// Terms are within their limit and are their own only term.
void CheckTerms(absl::string_view bytes);
// A query that parses is within its limits and can be evaluated.
void CheckQuery(absl::string_view bytes);
// What decodes encodes to the same bytes.
void CheckListing(absl::string_view bytes);
void CheckManifest(absl::string_view bytes);
// The same, and that it is valid is decided without a crash.
void CheckGrantChain(absl::string_view bytes);
// What decodes prints to a text that parses to the same value.
void CheckFactBytes(absl::string_view bytes);
void CheckTicketText(absl::string_view bytes);
// What parses, printed line by line, parses to the same tokens, and each is found.
void CheckApiTokenFile(absl::string_view bytes);
void CheckObjectRef(absl::string_view bytes);
// What decodes, encoded and decoded again, is the same.
void CheckPage(absl::string_view bytes);
void CheckFrame(absl::string_view bytes);

struct ByteProperty {
  absl::string_view name;  // As of the fuzzer and its corpus.
  void (*check)(absl::string_view bytes);
};

// All of the above.
const std::vector<ByteProperty>& ByteProperties();

}  // namespace panal
