// Frames of a link as plain values. Wire form and ranges: proto/panal/v1/frames.proto; the
// conversion and all validation are in common/wire, so that a frame that exists here is within its
// ranges.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/model/digest.h"
#include "common/model/fact.h"
#include "common/model/page.h"
#include "common/model/query.h"
#include "common/model/record.h"

namespace panal {

// Limits of frames (proto/panal/v1/frames.proto).
inline constexpr size_t kFrameSizeMax = 256 * 1024;    // Bytes.
inline constexpr int kWalkTtlMax = 16;                 // Links.
inline constexpr int kCastHopsMax = 64;                // Links.
inline constexpr size_t kSampleSizeMax = 16;           // Peers in a shuffle.
inline constexpr uint32_t kBubbleSizeMax = 1'000'000;  // Positions.
inline constexpr uint32_t kBudgetMsMax = 300'000;      // Milliseconds.
inline constexpr size_t kAnswerHitsMax = 1000;         // Hits in one answer frame.
inline constexpr uint32_t kSearchLimitMax = 10'000;    // Different ids of one search.
// Links of one peer: the largest active view and its slack (docs/protocol/overlay.md).
inline constexpr uint32_t kLinksPerPeerMax = 132;
inline constexpr uint32_t kConsultedMax = kLinksPerPeerMax * kBubbleSizeMax;
// Terms in one DigestDelta: 32 KiB, above which a whole digest is rarely larger.
inline constexpr size_t kDigestDeltaMax = 8192;

// Facts asked for in one frame, and in one frame of facts: 64 KiB.
inline constexpr size_t kFactsPerFrameMax = 64;

// Features that a Hello may name.
inline constexpr absl::string_view kDigestFeature = "digest";  // Takes Digest and DigestDelta.

inline constexpr uint32_t kLeaseMsMax = 3'600'000;  // Milliseconds a standing query may be kept.

// 16 random bytes that name a bubble.
struct BubbleId {
  std::array<uint8_t, 16> bytes{};
  auto operator<=>(const BubbleId&) const = default;
};

// 16 random bytes that name a subscription among the peers that keep its query.
struct SubscriptionId {
  std::array<uint8_t, 16> bytes{};
  auto operator<=>(const SubscriptionId&) const = default;
};

struct Hello {
  uint32_t protocol_min = 1;
  uint32_t protocol_max = 1;
  std::vector<std::string> features;
  double capacity = 1.0;
  std::vector<std::string> addresses;
  std::string version;
  bool operator==(const Hello&) const = default;
};

struct Join {
  bool operator==(const Join&) const = default;
};

struct ForwardJoin {
  PeerContact newcomer;
  int ttl = 0;
  bool operator==(const ForwardJoin&) const = default;
};

struct NeighborAsk {
  bool high_priority = false;
  bool operator==(const NeighborAsk&) const = default;
};

struct NeighborReply {
  bool accepted = false;
  bool operator==(const NeighborReply&) const = default;
};

struct Disconnect {
  bool leaving = false;
  std::vector<PeerContact> replacements;
  bool operator==(const Disconnect&) const = default;
};

struct Shuffle {
  int ttl = 0;
  std::vector<PeerId> path;  // The origin first, the sender last.
  std::vector<PeerContact> peers;
  bool operator==(const Shuffle&) const = default;
};

struct ShuffleReply {
  std::vector<PeerId> path;  // What is left of the way back; the next receiver is the last.
  std::vector<PeerContact> peers;
  bool operator==(const ShuffleReply&) const = default;
};

// What makes a query a standing one: who is visited keeps it and tells what matches later.
struct StandingTerms {
  SubscriptionId subscription;
  uint32_t lease_ms = 0;  // How long it is kept.
  // How far back what came to the visited peer is answered at once.
  uint32_t since_ms = 0;
  bool operator==(const StandingTerms&) const = default;
};

struct QueryPayload {
  std::string query;
  uint32_t limit = 0;
  std::optional<StandingTerms> standing;
  bool operator==(const QueryPayload&) const = default;
};

// The page to keep; `page->body` is empty and `has_body` false in a refresh.
struct PagePayload {
  PagePtr page;
  bool has_body = false;
  PagePtr peer_page;  // Null when `page` is the peer page itself.
};

struct Cast {
  BubbleId bubble;
  PeerId origin;
  uint64_t seed = 0;
  uint32_t begin = 0;
  uint32_t end = 1;
  bool everyone = false;
  uint32_t consult = 0;  // Links, at most kLinksPerPeerMax. Queries only.
  bool contact = false;  // Queries only: visit, and no positions.
  int hops = 0;
  uint32_t budget_ms = 0;
  std::variant<QueryPayload, PagePayload> payload;
};

struct Answer {
  BubbleId bubble;
  uint32_t begin = 0;
  bool final = false;
  uint32_t visited = 0;
  uint32_t unanswered = 0;
  std::vector<Hit> hits;
  uint32_t kept = 0;
  uint32_t full = 0;
  bool truncated = false;
  uint32_t consulted = 0;
  uint32_t contacted = 0;
  bool operator==(const Answer&) const = default;
};

// Upper bound of the bytes that `hit` takes in an Answer frame. Who fills an Answer stops where the
// sum would exceed kAnswerHitsSizeMax, so that the frame stays within kFrameSizeMax
// (server/processing/search/hits.h does).
size_t HitFrameSizeMax(const Hit& hit);
inline constexpr size_t kAnswerHitsSizeMax = kFrameSizeMax - 1024;  // Bytes; 1 KiB is for the rest.

struct PageWant {
  PageKey key;
  uint64_t version = 0;
  bool operator==(const PageWant&) const = default;
};

struct PageBodyFrame {
  PagePtr page;
};

struct Measure {
  uint64_t sequence = 0;
  uint64_t round = 0;
  uint64_t fish_id = 0;
  double fish = 0, count = 0, degree = 0, degree_squared = 0;
  double canaries_asked = 0, canaries_found = 0;
  double last_count = 0, last_degree = 0, last_degree_squared = 0;
  bool operator==(const Measure&) const = default;
};

struct MeasureAck {
  uint64_t sequence = 0;
  bool operator==(const MeasureAck&) const = default;
};

struct OpenStream {
  std::string method;
  bool operator==(const OpenStream&) const = default;
};

// What matches a standing query and came after its visit; towards who subscribed.
struct StandingHits {
  SubscriptionId subscription;
  std::vector<Hit> hits;  // As in an Answer: kAnswerHitsMax, kAnswerHitsSizeMax.
  bool operator==(const StandingHits&) const = default;
};

// The sender's whole digest; null: it has none any more. Shared: who sends it to many keeps one.
struct DigestFrame {
  uint64_t version = 0;
  TermDigestPtr digest;
};

// What was added to the sender's digest since the version before. At most kDigestDeltaMax.
struct DigestDelta {
  uint64_t version = 0;
  std::vector<uint32_t> hashes;
  bool operator==(const DigestDelta&) const = default;
};

// Which facts the sender knows. First after its Hello, and now and then where they changed.
struct FactDigest {
  uint32_t count = 0;  // At most kFactsMax.
  // SHA-256 of the names, ascending, one after the other.
  Sha256Digest names;
  bool operator==(const FactDigest&) const = default;
};

// Asks for facts; without names for the names of all.
struct FactWant {
  std::vector<FactName> names;  // At most kFactsPerFrameMax; ascending, each once.
  bool operator==(const FactWant&) const = default;
};

// The names of all facts that the sender knows, as asked.
struct FactNames {
  std::vector<FactName> names;  // At most kFactsMax; ascending, each once.
  bool operator==(const FactNames&) const = default;
};

// Facts as they were signed, each of 1 to kFactSizeMax bytes. UNVERIFIED.
struct FactBodies {
  bool asked = false;              // Answers a FactWant; otherwise 1 or more that are new.
  std::vector<std::string> facts;  // At most kFactsPerFrameMax.
  bool operator==(const FactBodies&) const = default;
};

// Hello never reaches processing: the runtime exchanges it before it reports LinkUp.
using Frame = std::variant<Hello, Join, ForwardJoin, NeighborAsk, NeighborReply, Disconnect,
                           Shuffle, ShuffleReply, Cast, Answer, PageWant, PageBodyFrame, Measure,
                           MeasureAck, OpenStream, StandingHits, DigestFrame, DigestDelta,
                           FactDigest, FactWant, FactNames, FactBodies>;

}  // namespace panal
