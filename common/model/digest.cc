#include "common/model/digest.h"

#include <algorithm>
#include <utility>

#include "common/base/random.h"
#include "common/model/terms.h"

namespace panal {
namespace {

constexpr size_t kBlockSize = 64;  // Bytes: a cache line.
constexpr int kProbeBits = 9;      // Of a bit's place in a block.
// Keeps ids apart from terms of the same bytes, which are letters and digits. ASCII "id".
constexpr uint64_t kIdSalt = 0x6964;
// The golden ratio's bits, as in SplitMix64: otherwise 0 would mix to 0.
constexpr uint64_t kIncrement = 0x9e3779b97f4a7c15;

// Eight bytes at a time, little-endian, the last ones filled up with zeros.
uint32_t Hash(absl::string_view bytes, uint64_t salt) {
  uint64_t hash = Mix64(salt + kIncrement + bytes.size());
  for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    const size_t end = std::min(bytes.size(), at + sizeof(uint64_t));
    for (size_t i = at; i < end; ++i) {
      word |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * (i - at));
    }
    hash = Mix64(hash ^ word);
  }
  return static_cast<uint32_t>(hash >> 32);
}

// Calls `visit(byte, mask)` for the bits of `hash` in a digest of `size` bytes, until it returns
// false.
template <typename Visit>
void ForEachProbe(uint32_t hash, size_t size, Visit visit) {
  const uint64_t place = Mix64(hash + kIncrement);
  const size_t block = (place & (size / kBlockSize - 1)) * kBlockSize;
  uint64_t probes = Mix64(place + kIncrement);
  for (int i = 0; i < kDigestProbes; ++i, probes >>= kProbeBits) {
    const size_t bit = probes & (8 * kBlockSize - 1);
    if (!visit(block + bit / 8, static_cast<uint8_t>(1 << (bit % 8)))) return;
  }
}

size_t SizeFor(size_t terms) {
  size_t size = kDigestSizeMin;
  while (size < kDigestSizeMax && 8 * size < kDigestBitsPerTerm * terms) size *= 2;
  return size;
}

}  // namespace

uint32_t DigestHash(absl::string_view term) { return Hash(term, 0); }

uint32_t DigestHash(const Sha256Digest& id) { return Hash(id.view(), kIdSalt); }

void ForEachDigestHash(const Record& record, absl::FunctionRef<void(uint32_t)> sink) {
  auto add = [&](absl::string_view text) {
    ForEachTerm(text, [&](absl::string_view term, size_t, size_t) {
      sink(DigestHash(term));
      return true;
    });
  };
  add(record.name);
  for (const auto& [key, value] : record.attributes) add(value);
  if (record.kind != RecordKind::kObject) sink(DigestHash(record.id));
}

TermDigest TermDigest::Of(const std::vector<uint32_t>& hashes) {
  std::string bytes(SizeFor(hashes.size()), '\0');
  for (uint32_t hash : hashes) {
    ForEachProbe(hash, bytes.size(), [&](size_t byte, uint8_t mask) {
      bytes[byte] = static_cast<char>(static_cast<uint8_t>(bytes[byte]) | mask);
      return true;
    });
  }
  return TermDigest(std::move(bytes));
}

std::optional<TermDigest> TermDigest::FromBytes(std::string bytes) {
  const size_t size = bytes.size();
  const bool fits = size >= kDigestSizeMin && size <= kDigestSizeMax && (size & (size - 1)) == 0;
  if (!fits) return std::nullopt;
  return TermDigest(std::move(bytes));
}

bool TermDigest::MayHave(uint32_t hash) const {
  bool has = true;
  ForEachProbe(hash, bytes_.size(), [&](size_t byte, uint8_t mask) {
    has = (static_cast<uint8_t>(bytes_[byte]) & mask) != 0;
    return has;
  });
  return has;
}

DigestQuery::DigestQuery(const Query& query) : root_(NodeOf(query.root())) {}

DigestQuery::Node DigestQuery::AllOf(const QueryNode& query) {
  Node node;
  for (const QueryNode& child : query.children) {
    Node part = NodeOf(child);
    if (part.op != Op::kUnknown) node.children.push_back(std::move(part));
  }
  if (!node.children.empty()) node.op = Op::kAnd;
  return node;
}

DigestQuery::Node DigestQuery::AnyOf(const QueryNode& query) {
  Node node{.op = Op::kOr};
  for (const QueryNode& child : query.children) {
    node.children.push_back(NodeOf(child));
    if (node.children.back().op == Op::kUnknown) return Node{};
  }
  return node;
}

DigestQuery::Node DigestQuery::NodeOf(const QueryNode& query) {
  Node node;
  switch (query.op) {
    case QueryOp::kAnd:
      return AllOf(query);
    case QueryOp::kOr:
      return AnyOf(query);
    case QueryOp::kPhrase:
    case QueryOp::kPrefix: {
      // What the last word of a prefix begins with says nothing of whole words.
      const size_t whole = query.terms.size() - (query.op == QueryOp::kPrefix ? 1 : 0);
      for (size_t i = 0; i < whole; ++i) node.hashes.push_back(DigestHash(query.terms[i]));
      break;
    }
    case QueryOp::kCompare:
      if (query.comparison != Comparison::kEqual) break;
      if (query.field == "size" || query.field == "publisher") break;
      // Texts that are equal but for the case of letters have equal terms.
      ForEachTerm(query.value, [&](absl::string_view term, size_t, size_t) {
        node.hashes.push_back(DigestHash(term));
        return true;
      });
      break;
    case QueryOp::kId:
      if (const auto id = Sha256Digest::FromText(query.value)) {
        node.hashes.push_back(DigestHash(*id));
      }
      break;
    case QueryOp::kNot:
    case QueryOp::kKind:
    case QueryOp::kAll:
      break;
  }
  if (!node.hashes.empty()) node.op = Op::kHashes;
  return node;
}

bool DigestQuery::MayMatch(const Node& node, absl::FunctionRef<bool(uint32_t)> has) {
  auto may = [has](const Node& child) { return MayMatch(child, has); };
  switch (node.op) {
    case Op::kHashes:
      return std::all_of(node.hashes.begin(), node.hashes.end(), has);
    case Op::kAnd:
      return std::all_of(node.children.begin(), node.children.end(), may);
    case Op::kOr:
      return std::any_of(node.children.begin(), node.children.end(), may);
    case Op::kUnknown:
      return true;
  }
  return true;
}

}  // namespace panal
