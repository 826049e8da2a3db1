#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/wire/field_reader.h"
#include "common/wire/frame_codec.h"
#include "common/wire/page_codec.h"
#include "common/wire/record_codec.h"
#include "common/wire/serialize.h"
#include "panal/v1/frames.pb.h"

namespace panal {
namespace {

using internal::FieldReader;
using DecodedFrame = absl::StatusOr<std::optional<Frame>>;

// The frame, unless a field was out of its range.
template <typename F>
DecodedFrame Finish(const FieldReader& reader, F frame) {
  if (!reader.status().ok()) return reader.status();
  return Frame(std::move(frame));
}

// A BubbleId or a SubscriptionId.
template <typename Id>
Id Bytes16(FieldReader& reader, absl::string_view field, const std::string& bytes) {
  Id id;
  if (bytes.size() != id.bytes.size()) {
    reader.Refuse(field, absl::StrCat(bytes.size(), " bytes"), "16 bytes");
    return id;
  }
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

DecodedFrame DecodeHello(const v1::Hello& message) {
  FieldReader reader("hello");
  Hello frame;
  frame.protocol_min = reader.Count("protocol_min", message.protocol_min(), 1, UINT32_MAX);
  frame.protocol_max =
      reader.Count("protocol_max", message.protocol_max(), message.protocol_min(), UINT32_MAX);
  frame.features = reader.Texts("features", message.features(), kHelloFeaturesMax, kFeatureSizeMax);
  frame.capacity = reader.Real("capacity", message.capacity(), 0, kCapacityMax);
  if (frame.capacity == 0) reader.Refuse("capacity", "0", "above 0");
  frame.addresses = reader.Addresses("addresses", message.addresses());
  frame.version = reader.Text("version", message.version(), 0, kVersionSizeMax);
  return Finish(reader, std::move(frame));
}

DecodedFrame DecodeForwardJoin(const v1::ForwardJoin& message) {
  FieldReader reader("forward_join");
  ForwardJoin frame;
  frame.newcomer = reader.Contact("newcomer", message.newcomer());
  frame.ttl = static_cast<int>(reader.Count("ttl", message.ttl(), 0, kWalkTtlMax));
  return Finish(reader, std::move(frame));
}

DecodedFrame DecodeDisconnect(const v1::Disconnect& message) {
  FieldReader reader("disconnect");
  Disconnect frame;
  frame.leaving = message.leaving();
  frame.replacements = reader.Sample("replacements", message.replacements());
  return Finish(reader, std::move(frame));
}

DecodedFrame DecodeShuffle(const v1::Shuffle& message) {
  FieldReader reader("shuffle");
  Shuffle frame;
  frame.ttl = static_cast<int>(reader.Count("ttl", message.ttl(), 0, kWalkTtlMax));
  frame.path = reader.Ids("path", message.path(), 1, kWalkPathMax);
  frame.peers = reader.Sample("peers", message.peers());
  return Finish(reader, std::move(frame));
}

DecodedFrame DecodeShuffleReply(const v1::ShuffleReply& message) {
  FieldReader reader("shuffle_reply");
  ShuffleReply frame;
  frame.path = reader.Ids("path", message.path(), 0, kWalkPathMax);
  frame.peers = reader.Sample("peers", message.peers());
  return Finish(reader, std::move(frame));
}

QueryPayload DecodeQuery(FieldReader& reader, const v1::QueryPayload& message) {
  QueryPayload payload;
  payload.query = reader.Text("query.query", message.query(), 1, kQuerySizeMax);
  payload.limit = reader.Count("query.limit", message.limit(), 1, kSearchLimitMax);
  if (!message.has_standing()) return payload;
  const v1::StandingTerms& terms = message.standing();
  StandingTerms& standing = payload.standing.emplace();
  standing.subscription =
      Bytes16<SubscriptionId>(reader, "query.standing.subscription_id", terms.subscription_id());
  standing.lease_ms = reader.Count("query.standing.lease_ms", terms.lease_ms(), 0, kLeaseMsMax);
  standing.since_ms = reader.Count("query.standing.since_ms", terms.since_ms(), 0, kLeaseMsMax);
  return payload;
}

PagePayload DecodePage(FieldReader& reader, const v1::PagePayload& message) {
  PagePayload payload;
  payload.has_body = message.page().has_body();
  payload.page = reader.SignedPage("page.page", message.page(), false);
  if (!message.has_peer_page()) return payload;
  payload.peer_page = reader.SignedPage("page.peer_page", message.peer_page(), true);
  if (!reader.status().ok()) return payload;
  PageKey expected{payload.page->header.key.publisher, kPeerPageNumber};
  if (payload.peer_page->header.key != expected) {
    reader.Refuse("page.peer_page", absl::StrCat("page ", payload.peer_page->header.key.number),
                  "page 0 of the same publisher");
  } else if (payload.page->header.key == expected) {
    reader.Refuse("page.peer_page", "present", "absent beside the peer page itself");
  }
  return payload;
}

// Positions of the part.
void DecodeRange(FieldReader& reader, const v1::Cast& message, Cast& frame) {
  frame.everyone = message.everyone();
  frame.end = reader.Count("end", message.end(), 1, frame.everyone ? 1 : kBubbleSizeMax);
  frame.begin = reader.Count("begin", message.begin(), 0, std::max(message.end(), 1u) - 1);
}

// What a query asks of its receiver beside the visit.
void DecodeDigestUse(FieldReader& reader, const v1::Cast& message, Cast& frame) {
  frame.consult = reader.Count("consult", message.consult(), 0, kLinksPerPeerMax);
  frame.contact = message.contact();
  const bool range = message.has_query() && !frame.everyone;
  if (frame.consult > 0 && !range) {
    reader.Refuse("consult", absl::StrCat(frame.consult), "0 without a range of a query");
  }
  if (!frame.contact) return;
  const bool alone = range && frame.consult == 0 && frame.begin == 0 && frame.end == 1;
  if (!alone) reader.Refuse("contact", "true", "false but for position 0 of a query");
}

DecodedFrame DecodeCast(const v1::Cast& message) {
  if (message.payload_case() == v1::Cast::PAYLOAD_NOT_SET) return std::optional<Frame>();
  FieldReader reader("cast");
  Cast frame;
  frame.bubble = Bytes16<BubbleId>(reader, "bubble_id", message.bubble_id());
  frame.origin = reader.Id("origin", message.origin());
  frame.seed = message.seed();
  DecodeRange(reader, message, frame);
  DecodeDigestUse(reader, message, frame);
  frame.hops = static_cast<int>(reader.Count("hops", message.hops(), 0, kCastHopsMax));
  frame.budget_ms = reader.Count("budget_ms", message.budget_ms(), 0, kBudgetMsMax);
  if (message.has_query()) {
    frame.payload = DecodeQuery(reader, message.query());
  } else {
    frame.payload = DecodePage(reader, message.page());
  }
  return Finish(reader, std::move(frame));
}

// At least `least` hits; those of a kind that is not known are skipped.
std::vector<Hit> DecodeHits(FieldReader& reader,
                            const google::protobuf::RepeatedPtrField<v1::HitRecord>& messages,
                            uint32_t least) {
  std::vector<Hit> hits;
  uint32_t count = reader.Count("hits", messages.size(), least, kAnswerHitsMax);
  for (uint32_t i = 0; i < count && reader.status().ok(); ++i) {
    absl::StatusOr<std::optional<Hit>> hit = FromProto(messages[static_cast<int>(i)]);
    if (!hit.ok()) {
      reader.Refuse(absl::StrCat("hits[", i, "]"), hit.status());
    } else if (hit->has_value()) {
      hits.push_back(**std::move(hit));
    }
  }
  return hits;
}

DecodedFrame DecodeAnswer(const v1::Answer& message) {
  FieldReader reader("answer");
  Answer frame;
  frame.bubble = Bytes16<BubbleId>(reader, "bubble_id", message.bubble_id());
  frame.begin = reader.Count("begin", message.begin(), 0, kBubbleSizeMax - 1);
  frame.final = message.final();
  frame.visited = message.visited();
  frame.unanswered = reader.Count("unanswered", message.unanswered(), 0, kBubbleSizeMax);
  frame.kept = message.kept();
  frame.full = message.full();
  frame.truncated = message.truncated();
  frame.hits = DecodeHits(reader, message.hits(), 0);
  frame.consulted = reader.Count("consulted", message.consulted(), 0, kConsultedMax);
  frame.contacted = reader.Count("contacted", message.contacted(), 0, kConsultedMax);
  return Finish(reader, std::move(frame));
}

DecodedFrame DecodeStandingHits(const v1::StandingHits& message) {
  FieldReader reader("standing_hits");
  StandingHits frame;
  frame.subscription =
      Bytes16<SubscriptionId>(reader, "subscription_id", message.subscription_id());
  frame.hits = DecodeHits(reader, message.hits(), 1);
  return Finish(reader, std::move(frame));
}

DecodedFrame DecodePageWant(const v1::PageWant& message) {
  FieldReader reader("page_want");
  PageWant frame;
  frame.key.publisher = reader.Id("publisher", message.publisher());
  frame.key.number = reader.Count("number", message.number(), 0, kPageNumberMax);
  frame.version = message.version();
  return Finish(reader, frame);
}

DecodedFrame DecodePageBodyFrame(const v1::SignedPage& message) {
  FieldReader reader("link_frame");
  PageBodyFrame frame{reader.SignedPage("page", message, true)};
  return Finish(reader, std::move(frame));
}

DecodedFrame DecodeMeasure(const v1::Measure& message) {
  FieldReader reader("measure");
  Measure frame;
  frame.sequence = message.sequence();
  frame.round = message.round();
  frame.fish_id = message.fish_id();
  frame.fish = reader.Real("fish", message.fish(), 0, 1 + kMassTolerance);
  frame.count = reader.Mass("count", message.count());
  frame.degree = reader.Mass("degree", message.degree());
  frame.degree_squared = reader.Mass("degree_squared", message.degree_squared());
  frame.canaries_asked = reader.Mass("canaries_asked", message.canaries_asked());
  frame.canaries_found = reader.Mass("canaries_found", message.canaries_found());
  frame.last_count = reader.Mass("last_count", message.last_count());
  frame.last_degree = reader.Mass("last_degree", message.last_degree());
  frame.last_degree_squared = reader.Mass("last_degree_squared", message.last_degree_squared());
  return Finish(reader, frame);
}

DecodedFrame DecodeOpenStream(const v1::OpenStream& message) {
  FieldReader reader("open_stream");
  return Finish(reader, OpenStream{reader.Text("method", message.method(), 1, kMethodSizeMax)});
}

DecodedFrame DecodeDigest(const v1::Digest& message) {
  FieldReader reader("digest");
  DigestFrame frame{.version = message.version()};
  if (message.filter().empty()) return Finish(reader, std::move(frame));
  std::optional<TermDigest> digest = TermDigest::FromBytes(message.filter());
  if (!digest) {
    reader.Refuse("filter", absl::StrCat(message.filter().size(), " bytes"),
                  absl::StrCat("a power of two from ", kDigestSizeMin, " to ", kDigestSizeMax));
    return Finish(reader, std::move(frame));
  }
  frame.digest = std::make_shared<const TermDigest>(*std::move(digest));
  return Finish(reader, std::move(frame));
}

DecodedFrame DecodeDigestDelta(const v1::DigestDelta& message) {
  FieldReader reader("digest_delta");
  DigestDelta frame{.version = message.version()};
  reader.Count("hashes", message.hashes_size(), 1, kDigestDeltaMax);
  frame.hashes.assign(message.hashes().begin(), message.hashes().end());
  return Finish(reader, std::move(frame));
}

DecodedFrame DecodeFactDigest(const v1::FactDigest& message) {
  FieldReader reader("fact_digest");
  FactDigest frame;
  frame.count = reader.Count("count", message.count(), 0, kFactsMax);
  if (auto names = Sha256Digest::FromBytes(message.names_hash())) {
    frame.names = *names;
  } else {
    reader.Refuse("names_hash", absl::StrCat(message.names_hash().size(), " bytes"), "32 bytes");
  }
  return Finish(reader, frame);
}

// At most `most` names, ascending.
std::vector<FactName> DecodeNames(FieldReader& reader, const std::string& bytes, size_t most) {
  constexpr size_t kSize = sizeof(FactName);
  std::vector<FactName> names;
  if (bytes.size() % kSize != 0 || bytes.size() > most * kSize) {
    reader.Refuse("names", absl::StrCat(bytes.size(), " bytes"),
                  absl::StrCat("at most ", most, " names of ", kSize, " bytes"));
    return names;
  }
  names.resize(bytes.size() / kSize);
  for (size_t i = 0; i < names.size(); ++i) {
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(i * kSize), kSize, names[i].begin());
    if (i > 0 && names[i] <= names[i - 1]) {
      reader.Refuse("names", absl::StrCat("number ", i, " out of order"), "ascending");
      break;
    }
  }
  return names;
}

DecodedFrame DecodeFactWant(const v1::FactWant& message) {
  FieldReader reader("fact_want");
  return Finish(reader, FactWant{DecodeNames(reader, message.names(), kFactsPerFrameMax)});
}

DecodedFrame DecodeFactNames(const v1::FactNames& message) {
  FieldReader reader("fact_names");
  return Finish(reader, FactNames{DecodeNames(reader, message.names(), kFactsMax)});
}

DecodedFrame DecodeFactBodies(const v1::FactBodies& message) {
  FieldReader reader("fact_bodies");
  FactBodies frame{.asked = message.asked()};
  reader.Count("facts", message.facts_size(), frame.asked ? 0 : 1, kFactsPerFrameMax);
  for (const std::string& fact : message.facts()) {
    reader.Count("facts", fact.size(), 1, kFactSizeMax);
    if (!reader.status().ok()) break;
    frame.facts.push_back(fact);
  }
  return Finish(reader, std::move(frame));
}

absl::Status TooLarge(size_t size) {
  return Error(ErrorReason::kFrameTooLarge,
               absl::StrCat("a frame of ", size, " bytes exceeds ", kFrameSizeMax),
               {{"value", absl::StrCat(size)}, {"limit", absl::StrCat(kFrameSizeMax)}});
}

DecodedFrame DecodeCase(const v1::LinkFrame& message) {
  switch (message.frame_case()) {
    case v1::LinkFrame::kHello:
      return DecodeHello(message.hello());
    case v1::LinkFrame::kJoin:
      return Frame(Join{});
    case v1::LinkFrame::kForwardJoin:
      return DecodeForwardJoin(message.forward_join());
    case v1::LinkFrame::kNeighborAsk:
      return Frame(NeighborAsk{message.neighbor_ask().high_priority()});
    case v1::LinkFrame::kNeighborReply:
      return Frame(NeighborReply{message.neighbor_reply().accepted()});
    case v1::LinkFrame::kDisconnect:
      return DecodeDisconnect(message.disconnect());
    case v1::LinkFrame::kShuffle:
      return DecodeShuffle(message.shuffle());
    case v1::LinkFrame::kShuffleReply:
      return DecodeShuffleReply(message.shuffle_reply());
    case v1::LinkFrame::kCast:
      return DecodeCast(message.cast());
    case v1::LinkFrame::kAnswer:
      return DecodeAnswer(message.answer());
    case v1::LinkFrame::kPageWant:
      return DecodePageWant(message.page_want());
    case v1::LinkFrame::kPage:
      return DecodePageBodyFrame(message.page());
    case v1::LinkFrame::kMeasure:
      return DecodeMeasure(message.measure());
    case v1::LinkFrame::kMeasureAck:
      return Frame(MeasureAck{message.measure_ack().sequence()});
    case v1::LinkFrame::kOpenStream:
      return DecodeOpenStream(message.open_stream());
    case v1::LinkFrame::kStandingHits:
      return DecodeStandingHits(message.standing_hits());
    case v1::LinkFrame::kDigest:
      return DecodeDigest(message.digest());
    case v1::LinkFrame::kDigestDelta:
      return DecodeDigestDelta(message.digest_delta());
    case v1::LinkFrame::kFactDigest:
      return DecodeFactDigest(message.fact_digest());
    case v1::LinkFrame::kFactWant:
      return DecodeFactWant(message.fact_want());
    case v1::LinkFrame::kFactNames:
      return DecodeFactNames(message.fact_names());
    case v1::LinkFrame::kFactBodies:
      return DecodeFactBodies(message.fact_bodies());
    case v1::LinkFrame::FRAME_NOT_SET:
      return std::optional<Frame>();
  }
  return std::optional<Frame>();
}

}  // namespace

absl::StatusOr<std::optional<Frame>> FromProto(const v1::LinkFrame& message) {
  size_t size = message.ByteSizeLong();
  if (size > kFrameSizeMax) return TooLarge(size);
  return DecodeCase(message);
}

absl::StatusOr<std::optional<Frame>> DecodeFrame(absl::string_view bytes) {
  if (bytes.size() > kFrameSizeMax) return TooLarge(bytes.size());
  v1::LinkFrame message;
  if (!internal::Parse(bytes, &message)) {
    return Error(ErrorReason::kFrameInvalid,
                 absl::StrCat("a frame of ", bytes.size(), " bytes does not parse"));
  }
  return DecodeCase(message);
}

}  // namespace panal
