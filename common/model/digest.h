// A digest: a compact filter of the terms that a peer's index holds, so that a neighbor knows which
// queries cannot match anything there. Layout and hashes: docs/protocol/digests.md.
//
// A blocked Bloom filter (Putze, Sanders, Singler: "Cache-, Hash- and Space-Efficient Bloom
// Filters", 2007): all probes of a term fall into one block of 64 bytes. A term is known by 32 bits
// of its hash, so that what was added since can be told in 4 bytes a term.
//
// What a digest holds of a record: the terms (terms.h) of its name and attribute values, and its id
// unless it is an object's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "common/model/query.h"
#include "common/model/record.h"

namespace panal {

// Bytes of a digest: a power of two between these. The largest leaves room in a frame and keeps the
// digests of all neighbors below 17 MiB.
inline constexpr size_t kDigestSizeMin = 64;
inline constexpr size_t kDigestSizeMax = 128 * 1024;
// Bits a term for which a digest is sized; with six probes 0.6 % of absent terms seem present.
inline constexpr size_t kDigestBitsPerTerm = 12;
inline constexpr int kDigestProbes = 6;
// Terms that the largest digest still says something about: at 6 bits a term 8 % of absent terms
// seem present.
inline constexpr size_t kDigestTermsMax = kDigestSizeMax * 8 / 6;

// What a term, or an id, is in a digest.
uint32_t DigestHash(absl::string_view term);
uint32_t DigestHash(const Sha256Digest& id);

// Calls `sink` for everything that a digest holds of `record`; the same may come twice.
void ForEachDigestHash(const Record& record, absl::FunctionRef<void(uint32_t)> sink);

// Immutable.
class TermDigest {
 public:
  // Sized for `hashes`, which are different.
  static TermDigest Of(const std::vector<uint32_t>& hashes);
  // Nothing unless the size is a power of two within the limits.
  static std::optional<TermDigest> FromBytes(std::string bytes);

  // Never false for what was put in.
  bool MayHave(uint32_t hash) const;

  const std::string& bytes() const { return bytes_; }

  bool operator==(const TermDigest&) const = default;

 private:
  explicit TermDigest(std::string bytes) : bytes_(std::move(bytes)) {}

  std::string bytes_;
};

using TermDigestPtr = std::shared_ptr<const TermDigest>;

// What of a query a digest can answer: words, phrases, whole words of a prefix phrase, equality of
// names and attributes, whole ids. Prefixes, ranges, negations and kinds it knows nothing of.
class DigestQuery {
 public:
  explicit DigestQuery(const Query& query);

  // Whether any digest can say no.
  bool digestible() const { return root_.op != Op::kUnknown; }

  // Whether something may match where `has` says what there is. Never false where a record matches
  // whose hashes `has` knows.
  bool MayMatch(absl::FunctionRef<bool(uint32_t)> has) const { return MayMatch(root_, has); }

  bool MayMatch(const TermDigest& digest) const {
    return MayMatch([&digest](uint32_t hash) { return digest.MayHave(hash); });
  }

 private:
  enum class Op : uint8_t { kUnknown, kHashes, kAnd, kOr };

  struct Node {
    Op op = Op::kUnknown;
    std::vector<uint32_t> hashes;  // kHashes: all of them.
    std::vector<Node> children;
  };

  static Node NodeOf(const QueryNode& query);
  static Node AllOf(const QueryNode& query);
  static Node AnyOf(const QueryNode& query);
  static bool MayMatch(const Node& node, absl::FunctionRef<bool(uint32_t)> has);

  Node root_;
};

}  // namespace panal
