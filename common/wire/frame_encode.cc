#include <variant>

#include "common/base/check.h"
#include "common/wire/frame_codec.h"
#include "common/wire/page_codec.h"
#include "common/wire/record_codec.h"
#include "common/wire/serialize.h"
#include "panal/v1/frames.pb.h"

namespace panal {
namespace {

// Of a BubbleId or a SubscriptionId.
template <typename Id>
std::string BytesOf(const Id& id) {
  return std::string(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
}

// One after the other.
std::string BytesOf(const std::vector<FactName>& names) {
  std::string bytes;
  bytes.reserve(names.size() * sizeof(FactName));
  for (const FactName& name : names) bytes.append(name.begin(), name.end());
  return bytes;
}

template <typename Repeated>
void AddAll(const std::vector<PeerContact>& contacts, Repeated* message) {
  for (const PeerContact& contact : contacts) ToProto(contact, message->Add());
}

// One overload a kind of frame; each fills its field of the message.
class Encoder {
 public:
  explicit Encoder(v1::LinkFrame* message) : message_(message) {}

  void operator()(const Hello& frame) const {
    v1::Hello* hello = message_->mutable_hello();
    hello->set_protocol_min(frame.protocol_min);
    hello->set_protocol_max(frame.protocol_max);
    hello->mutable_features()->Add(frame.features.begin(), frame.features.end());
    hello->set_capacity(frame.capacity);
    hello->mutable_addresses()->Add(frame.addresses.begin(), frame.addresses.end());
    hello->set_version(frame.version);
  }

  void operator()(const Join&) const { message_->mutable_join(); }

  void operator()(const ForwardJoin& frame) const {
    ToProto(frame.newcomer, message_->mutable_forward_join()->mutable_newcomer());
    message_->mutable_forward_join()->set_ttl(static_cast<uint32_t>(frame.ttl));
  }

  void operator()(const NeighborAsk& frame) const {
    message_->mutable_neighbor_ask()->set_high_priority(frame.high_priority);
  }

  void operator()(const NeighborReply& frame) const {
    message_->mutable_neighbor_reply()->set_accepted(frame.accepted);
  }

  void operator()(const Disconnect& frame) const {
    message_->mutable_disconnect()->set_leaving(frame.leaving);
    AddAll(frame.replacements, message_->mutable_disconnect()->mutable_replacements());
  }

  void operator()(const Shuffle& frame) const {
    v1::Shuffle* shuffle = message_->mutable_shuffle();
    shuffle->set_ttl(static_cast<uint32_t>(frame.ttl));
    for (const PeerId& id : frame.path) shuffle->add_path(id.ToBytes());
    AddAll(frame.peers, shuffle->mutable_peers());
  }

  void operator()(const ShuffleReply& frame) const {
    v1::ShuffleReply* reply = message_->mutable_shuffle_reply();
    for (const PeerId& id : frame.path) reply->add_path(id.ToBytes());
    AddAll(frame.peers, reply->mutable_peers());
  }

  void operator()(const Cast& frame) const {
    v1::Cast* cast = message_->mutable_cast();
    cast->set_bubble_id(BytesOf(frame.bubble));
    cast->set_origin(frame.origin.ToBytes());
    cast->set_seed(frame.seed);
    cast->set_begin(frame.begin);
    cast->set_end(frame.end);
    cast->set_everyone(frame.everyone);
    cast->set_hops(static_cast<uint32_t>(frame.hops));
    cast->set_budget_ms(frame.budget_ms);
    cast->set_consult(frame.consult);
    cast->set_contact(frame.contact);
    if (const auto* query = std::get_if<QueryPayload>(&frame.payload)) {
      EncodePayload(*query, cast->mutable_query());
    } else {
      EncodePayload(std::get<PagePayload>(frame.payload), cast->mutable_page());
    }
  }

  void operator()(const Answer& frame) const {
    v1::Answer* answer = message_->mutable_answer();
    answer->set_bubble_id(BytesOf(frame.bubble));
    answer->set_begin(frame.begin);
    answer->set_final(frame.final);
    answer->set_visited(frame.visited);
    answer->set_unanswered(frame.unanswered);
    for (const Hit& hit : frame.hits) ToProto(hit, answer->add_hits());
    answer->set_kept(frame.kept);
    answer->set_full(frame.full);
    answer->set_truncated(frame.truncated);
    answer->set_consulted(frame.consulted);
    answer->set_contacted(frame.contacted);
  }

  void operator()(const StandingHits& frame) const {
    v1::StandingHits* hits = message_->mutable_standing_hits();
    hits->set_subscription_id(BytesOf(frame.subscription));
    for (const Hit& hit : frame.hits) ToProto(hit, hits->add_hits());
  }

  void operator()(const PageWant& frame) const {
    v1::PageWant* want = message_->mutable_page_want();
    want->set_publisher(frame.key.publisher.ToBytes());
    want->set_number(frame.key.number);
    want->set_version(frame.version);
  }

  void operator()(const PageBodyFrame& frame) const {
    PANAL_CHECK(frame.page != nullptr);
    ToProto(*frame.page, true, message_->mutable_page());
  }

  void operator()(const Measure& frame) const {
    v1::Measure* measure = message_->mutable_measure();
    measure->set_sequence(frame.sequence);
    measure->set_round(frame.round);
    measure->set_fish_id(frame.fish_id);
    measure->set_fish(frame.fish);
    measure->set_count(frame.count);
    measure->set_degree(frame.degree);
    measure->set_degree_squared(frame.degree_squared);
    measure->set_canaries_asked(frame.canaries_asked);
    measure->set_canaries_found(frame.canaries_found);
    measure->set_last_count(frame.last_count);
    measure->set_last_degree(frame.last_degree);
    measure->set_last_degree_squared(frame.last_degree_squared);
  }

  void operator()(const MeasureAck& frame) const {
    message_->mutable_measure_ack()->set_sequence(frame.sequence);
  }

  void operator()(const DigestFrame& frame) const {
    message_->mutable_digest()->set_version(frame.version);
    if (frame.digest != nullptr) message_->mutable_digest()->set_filter(frame.digest->bytes());
  }

  void operator()(const DigestDelta& frame) const {
    v1::DigestDelta* delta = message_->mutable_digest_delta();
    delta->set_version(frame.version);
    delta->mutable_hashes()->Add(frame.hashes.begin(), frame.hashes.end());
  }

  void operator()(const FactDigest& frame) const {
    message_->mutable_fact_digest()->set_count(frame.count);
    message_->mutable_fact_digest()->set_names_hash(frame.names.ToBytes());
  }

  void operator()(const FactWant& frame) const {
    message_->mutable_fact_want()->set_names(BytesOf(frame.names));
  }

  void operator()(const FactNames& frame) const {
    message_->mutable_fact_names()->set_names(BytesOf(frame.names));
  }

  void operator()(const FactBodies& frame) const {
    v1::FactBodies* bodies = message_->mutable_fact_bodies();
    bodies->set_asked(frame.asked);
    bodies->mutable_facts()->Add(frame.facts.begin(), frame.facts.end());
  }

  void operator()(const OpenStream& frame) const {
    message_->mutable_open_stream()->set_method(frame.method);
  }

 private:
  static void EncodePayload(const QueryPayload& payload, v1::QueryPayload* message) {
    message->set_query(payload.query);
    message->set_limit(payload.limit);
    if (!payload.standing.has_value()) return;
    v1::StandingTerms* terms = message->mutable_standing();
    terms->set_subscription_id(BytesOf(payload.standing->subscription));
    terms->set_lease_ms(payload.standing->lease_ms);
    terms->set_since_ms(payload.standing->since_ms);
  }

  static void EncodePayload(const PagePayload& payload, v1::PagePayload* message) {
    PANAL_CHECK(payload.page != nullptr);
    ToProto(*payload.page, payload.has_body, message->mutable_page());
    if (payload.peer_page != nullptr) {
      ToProto(*payload.peer_page, true, message->mutable_peer_page());
    }
  }

  v1::LinkFrame* const message_;
};

}  // namespace

void ToProto(const Frame& frame, v1::LinkFrame* message) {
  message->Clear();
  std::visit(Encoder(message), frame);
}

std::string EncodeFrame(const Frame& frame) {
  v1::LinkFrame message;
  ToProto(frame, &message);
  return internal::SerializeDeterministically(message);
}

}  // namespace panal
