#include "tests/sim/frame_size.h"

#include <iterator>
#include <variant>
#include <vector>

namespace panal::sim {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

constexpr size_t kFraming = 5 + 9 + 22;  // gRPC prefix, HTTP/2 frame header, TLS record.
constexpr size_t kId = 34;               // 32 bytes, tag, length.
constexpr size_t kSubscription = 18;
constexpr size_t kFixed64 = 9;
constexpr size_t kVarint = 3;

size_t SizeOf(const PeerContact& contact) {
  size_t size = 2 + kId;
  for (const std::string& address : contact.addresses) size += 2 + address.size();
  return size;
}

size_t SizeOf(const std::vector<PeerContact>& contacts) {
  size_t size = 0;
  for (const PeerContact& contact : contacts) size += SizeOf(contact);
  return size;
}

size_t SizeOf(const PagePtr& page, bool has_body) {
  if (page == nullptr) return 0;
  constexpr size_t kHeader = 4 + 34 + kVarint + 2 * kFixed64 + 34 + 66 + 2;
  return kHeader + (has_body ? page->body.size() : 0);
}

size_t SizeOf(const Hit& hit) {
  size_t size = 10 + kId + hit.record.name.size() + SizeOf(hit.publisher);
  for (const auto& [key, value] : hit.record.attributes) size += 6 + key.size() + value.size();
  return size;
}

size_t SizeOf(const std::variant<QueryPayload, PagePayload>& payload) {
  if (const auto* query = std::get_if<QueryPayload>(&payload)) {
    const size_t standing = query->standing.has_value() ? 2 + kSubscription + 2 * kVarint : 0;
    return 4 + query->query.size() + kVarint + standing;
  }
  const auto& page = std::get<PagePayload>(payload);
  return 2 + SizeOf(page.page, page.has_body) + SizeOf(page.peer_page, true);
}

size_t SizeOf(const Answer& answer) {
  size_t size = 18 + 8 * kVarint;
  for (const Hit& hit : answer.hits) size += SizeOf(hit);
  return size;
}

}  // namespace

size_t FrameSize(const Frame& frame) {
  size_t content = std::visit(
      Overloaded{
          [](const Hello&) -> size_t { return 64; },
          [](const Join&) -> size_t { return 0; },
          [](const ForwardJoin& f) { return SizeOf(f.newcomer) + kVarint; },
          [](const NeighborAsk&) -> size_t { return 2; },
          [](const NeighborReply&) -> size_t { return 2; },
          [](const Disconnect& f) { return 2 + SizeOf(f.replacements); },
          [](const Shuffle& f) { return kVarint + kId * f.path.size() + SizeOf(f.peers); },
          [](const ShuffleReply& f) { return kId * f.path.size() + SizeOf(f.peers); },
          [](const Cast& f) { return 18 + kId + kFixed64 + 7 * kVarint + SizeOf(f.payload); },
          [](const Answer& f) { return SizeOf(f); },
          [](const PageWant&) -> size_t { return kId + kVarint + kFixed64; },
          [](const PageBodyFrame& f) { return SizeOf(f.page, true); },
          [](const Measure&) -> size_t { return 2 * kVarint + 10 * kFixed64; },
          [](const MeasureAck&) -> size_t { return kVarint; },
          [](const OpenStream& f) { return 2 + f.method.size(); },
          [](const StandingHits& f) {
            size_t size = kSubscription;
            for (const Hit& hit : f.hits) size += SizeOf(hit);
            return size;
          },
          [](const DigestFrame& f) {
            return kVarint + 4 + (f.digest == nullptr ? 0 : f.digest->bytes().size());
          },
          [](const DigestDelta& f) { return kVarint + 4 + sizeof(uint32_t) * f.hashes.size(); },
          [](const FactDigest&) -> size_t { return kVarint + kId; },
          [](const FactWant& f) { return kVarint + sizeof(FactName) * f.names.size(); },
          [](const FactNames& f) { return kVarint + 1 + sizeof(FactName) * f.names.size(); },
          [](const FactBodies& f) {
            size_t size = 2;
            for (const std::string& fact : f.facts) size += kVarint + fact.size();
            return size;
          },
      },
      frame);
  return kFraming + 3 + content;
}

size_t FrameKind(const Frame& frame) {
  const auto* cast = std::get_if<Cast>(&frame);
  bool page = cast != nullptr && std::holds_alternative<PagePayload>(cast->payload);
  if (cast != nullptr && cast->contact) return kFrameKinds - 2;
  return page ? kFrameKinds - 1 : frame.index();
}

absl::string_view FrameKindName(size_t kind) {
  constexpr absl::string_view kNames[] = {
      "hello",         "join",        "forward_join",  "neighbor_ask", "neighbor_reply",
      "disconnect",    "shuffle",     "shuffle_reply", "cast_query",   "answer",
      "page_want",     "page_body",   "measure",       "measure_ack",  "open_stream",
      "standing_hits", "digest",      "digest_delta",  "fact_digest",  "fact_want",
      "fact_names",    "fact_bodies", "cast_contact",  "cast_page"};
  static_assert(std::size(kNames) == kFrameKinds);
  return kNames[kind];
}

}  // namespace panal::sim
