#include "common/wire/frame_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/wire/page_codec.h"
#include "panal/v1/frames.pb.h"

namespace panal {
namespace {

using testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

PeerId Peer(uint8_t fill) {
  PeerId id;
  id.bytes.fill(fill);
  return id;
}

PagePtr PageNumber(uint32_t number, char key = 'k') {
  auto page = std::make_shared<Page>();
  page->header.public_key = std::string(kPageKeySize, key);
  page->header.key = {*PublisherOfKey(page->header.public_key), number};
  page->header.signature = std::string(kPageSignatureSize, 's');
  page->header.body_hash = Sha256("");
  return page;
}

Cast ValidCast() {
  Cast cast;
  cast.origin = Peer(1);
  cast.end = 10;
  cast.payload = QueryPayload{"a", 1};
  return cast;
}

Measure ValidMeasure() { return {.fish = 1, .count = 2, .degree = 3}; }

// The frame's message, changed by `change`, is refused; returns the `field` named.
template <typename Change>
std::string FieldRefused(const Frame& frame, Change change) {
  v1::LinkFrame message;
  ToProto(frame, &message);
  EXPECT_TRUE(FromProto(message).ok()) << FromProto(message).status();
  change(message);
  absl::StatusOr<std::optional<Frame>> decoded = FromProto(message);
  if (decoded.ok()) return "";
  EXPECT_EQ(ReasonOf(decoded.status()), ErrorReason::kFrameInvalid);
  EXPECT_THAT(std::string(decoded.status().message()),
              HasSubstr(MetadataOf(decoded.status())["field"]));
  return MetadataOf(decoded.status())["field"];
}

// As FieldRefused, with the cast of the message.
template <typename Change>
std::string CastFieldRefused(Change change, Cast cast = ValidCast()) {
  return FieldRefused(cast, [&](v1::LinkFrame& message) { change(*message.mutable_cast()); });
}

template <typename T>
void ExpectRoundTrip(const T& frame) {
  absl::StatusOr<std::optional<Frame>> decoded = DecodeFrame(EncodeFrame(frame));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_TRUE(decoded->has_value());
  EXPECT_EQ(std::get<T>(**decoded), frame);
}

TEST(FrameCodec, DecodesWhatItEncoded) {
  PeerContact contact{Peer(2), {"a:1", "[::1]:2"}};
  ExpectRoundTrip(Hello{1, 2, {"relay"}, 0.5, {"a:1"}, "0.1.0"});
  ExpectRoundTrip(Join{});
  ExpectRoundTrip(ForwardJoin{contact, kWalkTtlMax});
  ExpectRoundTrip(NeighborAsk{true});
  ExpectRoundTrip(NeighborReply{true});
  ExpectRoundTrip(Disconnect{true, {contact}});
  ExpectRoundTrip(Shuffle{3, {Peer(1)}, {contact}});
  ExpectRoundTrip(ShuffleReply{{}, {contact}});
  ExpectRoundTrip(PageWant{{Peer(3), kPageNumberMax}, ~0ull});
  ExpectRoundTrip(Measure{1, 2, 3, 0.5, 1e300, 2, 3, 4, 5, 6});
  ExpectRoundTrip(MeasureAck{~0ull});
  ExpectRoundTrip(OpenStream{"/panal.v1.PeerObject/Call"});
}

TEST(FrameCodec, DecodesAnswersWithTheirHits) {
  Answer answer;
  answer.bubble.bytes.fill(0xff);
  answer.begin = kBubbleSizeMax - 1;
  answer.final = true;
  answer.visited = answer.kept = answer.full = 7;
  answer.truncated = true;
  answer.consulted = answer.contacted = kConsultedMax;
  answer.hits.push_back({{.name = "a", .attributes = {{"k", "v"}}}, {Peer(1), {"a:1"}}});

  ExpectRoundTrip(answer);
}

TEST(FrameCodec, DecodesStandingQueriesAndTheirHits) {
  StandingHits hits;
  hits.subscription.bytes.fill(0xfe);
  hits.hits.push_back({{.name = "a", .attributes = {{"k", "v"}}}, {Peer(1), {"a:1"}}});
  ExpectRoundTrip(hits);

  Cast cast = ValidCast();
  QueryPayload query{"a", 1, StandingTerms{hits.subscription, kLeaseMsMax, kLeaseMsMax}};
  cast.payload = query;
  Cast decoded = std::get<Cast>(**DecodeFrame(EncodeFrame(cast)));
  EXPECT_EQ(std::get<QueryPayload>(decoded.payload), query);
}

TEST(FrameCodec, DecodesCastsOfQueriesAndPages) {
  Cast cast = ValidCast();
  cast.seed = ~0ull;
  cast.hops = kCastHopsMax;
  cast.budget_ms = kBudgetMsMax;
  cast.end = kBubbleSizeMax;
  Cast query = std::get<Cast>(**DecodeFrame(EncodeFrame(cast)));
  EXPECT_EQ(query.seed, cast.seed);
  EXPECT_EQ(query.end, cast.end);
  EXPECT_EQ(std::get<QueryPayload>(query.payload), std::get<QueryPayload>(cast.payload));

  cast.payload = PagePayload{PageNumber(4), false, PageNumber(0)};
  Cast page = std::get<Cast>(**DecodeFrame(EncodeFrame(cast)));
  const auto& payload = std::get<PagePayload>(page.payload);
  EXPECT_FALSE(payload.has_body);
  EXPECT_EQ(payload.page->header, PageNumber(4)->header);
  EXPECT_EQ(payload.peer_page->header, PageNumber(0)->header);
}

TEST(FrameCodec, DecodesPagesWithTheirBody) {
  Frame frame = **DecodeFrame(EncodeFrame(PageBodyFrame{PageNumber(4)}));

  EXPECT_EQ(std::get<PageBodyFrame>(frame).page->header, PageNumber(4)->header);
}

TEST(FrameCodec, GivesNothingForACaseItDoesNotKnow) {
  EXPECT_EQ(*DecodeFrame(""), std::nullopt);
  EXPECT_EQ(*DecodeFrame(absl::string_view("\x9a\x06\x00", 3)), std::nullopt);  // Field 99, empty.
  v1::LinkFrame message;
  ToProto(ValidCast(), &message);
  message.mutable_cast()->clear_payload();
  EXPECT_EQ(*FromProto(message), std::nullopt);
}

TEST(FrameCodec, LeavesOutHitsOfAKindItDoesNotKnow) {
  v1::LinkFrame message;
  ToProto(Answer{.hits = {{{.name = "a"}, {Peer(1), {}}}}}, &message);
  v1::HitRecord* strange = message.mutable_answer()->add_hits();
  strange->set_publisher(Peer(1).ToBytes());
  strange->mutable_record()->set_kind(static_cast<v1::RecordKind>(9));

  EXPECT_EQ(std::get<Answer>(**FromProto(message)).hits.size(), 1u);
}

TEST(FrameCodec, RefusesBytesThatDoNotParse) {
  EXPECT_EQ(ReasonOf(DecodeFrame("\xff\xff\xff").status()), ErrorReason::kFrameInvalid);
  std::string bytes = EncodeFrame(ForwardJoin{{Peer(1), {}}, 1});
  EXPECT_FALSE(DecodeFrame(absl::string_view(bytes).substr(0, bytes.size() - 1)).ok());
}

TEST(FrameCodec, RefusesFramesAboveTheLimit) {
  // An unknown field of the largest size that fits: key of two bytes, length of three.
  auto padded = [](size_t size) {
    v1::LinkFrame message;
    message.mutable_join();
    std::string bytes = message.SerializeAsString();
    size_t content = size - bytes.size() - 5;
    bytes.append("\x9a\x06");
    for (size_t rest = content, i = 0; i < 3; ++i, rest >>= 7) {
      bytes.push_back(static_cast<char>((rest & 0x7f) | (i < 2 ? 0x80 : 0)));
    }
    return bytes + std::string(content, 'x');
  };

  EXPECT_TRUE(DecodeFrame(padded(kFrameSizeMax)).ok());
  EXPECT_EQ(ReasonOf(DecodeFrame(padded(kFrameSizeMax + 1)).status()), ErrorReason::kFrameTooLarge);
  v1::LinkFrame message;
  ASSERT_TRUE(message.ParseFromString(padded(kFrameSizeMax + 1)));
  EXPECT_EQ(ReasonOf(FromProto(message).status()), ErrorReason::kFrameTooLarge);
}

TEST(FrameCodec, NamesFieldValueAndLimit) {
  v1::LinkFrame message;
  ToProto(ForwardJoin{{Peer(1), {}}, 0}, &message);
  message.mutable_forward_join()->set_ttl(17);

  absl::Status status = FromProto(message).status();

  EXPECT_EQ(status.message(), "frame field forward_join.ttl: 17 is not from 0 to 16");
  EXPECT_EQ(
      MetadataOf(status),
      (ErrorMetadata{{"field", "forward_join.ttl"}, {"value", "17"}, {"limit", "from 0 to 16"}}));
}

TEST(FrameCodec, RefusesHellosOutOfRange) {
  auto refused = [](auto change) {
    return FieldRefused(Hello{}, [&](v1::LinkFrame& m) { change(*m.mutable_hello()); });
  };

  EXPECT_EQ(refused([](v1::Hello& m) { m.set_protocol_min(0); }), "hello.protocol_min");
  EXPECT_EQ(refused([](v1::Hello& m) { m.set_protocol_min(2); }), "hello.protocol_max");
  for (double capacity : {0.0, -1.0, 1024.5, kInfinity, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(refused([&](v1::Hello& m) { m.set_capacity(capacity); }), "hello.capacity");
  }
  EXPECT_EQ(refused([](v1::Hello& m) { m.set_capacity(1024); }), "");
  EXPECT_EQ(refused([](v1::Hello& m) { m.add_addresses("nowhere"); }), "hello.addresses");
  EXPECT_EQ(refused([](v1::Hello& m) {
              for (size_t i = 0; i <= kContactAddressesMax; ++i) m.add_addresses("a:1");
            }),
            "hello.addresses");
  EXPECT_EQ(refused([](v1::Hello& m) {
              for (size_t i = 0; i <= kHelloFeaturesMax; ++i) m.add_features("f");
            }),
            "hello.features");
  EXPECT_EQ(refused([](v1::Hello& m) { m.add_features(std::string(33, 'f')); }), "hello.features");
  EXPECT_EQ(refused([](v1::Hello& m) { m.set_version(std::string(65, 'v')); }), "hello.version");
}

TEST(FrameCodec, RefusesWalksOutOfRange) {
  auto shuffled = [](auto change) {
    return FieldRefused(Shuffle{0, {Peer(1)}, {}},
                        [&](v1::LinkFrame& m) { change(*m.mutable_shuffle()); });
  };

  EXPECT_EQ(shuffled([](v1::Shuffle& m) { m.set_ttl(17); }), "shuffle.ttl");
  EXPECT_EQ(shuffled([](v1::Shuffle& m) { m.clear_path(); }), "shuffle.path");
  EXPECT_EQ(shuffled([](v1::Shuffle& m) { m.add_path("short"); }), "shuffle.path");
  auto steps = [](int count) {
    return [count](v1::Shuffle& m) {
      while (m.path_size() < count) m.add_path(Peer(2).ToBytes());
    };
  };
  EXPECT_EQ(shuffled(steps(17)), "");
  EXPECT_EQ(shuffled(steps(18)), "shuffle.path");
  auto sample = [](int count) {
    return [count](v1::Shuffle& m) {
      while (m.peers_size() < count) m.add_peers()->set_peer_id(Peer(2).ToBytes());
    };
  };
  EXPECT_EQ(shuffled(sample(16)), "");
  EXPECT_EQ(shuffled(sample(17)), "shuffle.peers");
  EXPECT_EQ(shuffled([](v1::Shuffle& m) { m.add_peers(); }), "shuffle.peers.peer_id");
  EXPECT_EQ(FieldRefused(ForwardJoin{},
                         [](v1::LinkFrame& m) { m.mutable_forward_join()->clear_newcomer(); }),
            "forward_join.newcomer.peer_id");
}

TEST(FrameCodec, RefusesCastsOutOfRange) {
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.set_bubble_id("x"); }), "cast.bubble_id");
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.clear_origin(); }), "cast.origin");
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.set_begin(9); }), "");
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.set_begin(10); }), "cast.begin");
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.set_end(0); }), "cast.end");
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.set_end(1'000'001); }), "cast.end");
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.set_everyone(true); }), "cast.end");
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.set_hops(65); }), "cast.hops");
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.set_budget_ms(300'001); }), "cast.budget_ms");
}

TEST(FrameCodec, RefusesQueriesOutOfRange) {
  auto refused = [](auto change) {
    return CastFieldRefused([&](v1::Cast& m) { change(*m.mutable_query()); });
  };

  EXPECT_EQ(refused([](v1::QueryPayload& m) { m.set_query(""); }), "cast.query.query");
  EXPECT_EQ(refused([](v1::QueryPayload& m) { m.set_query(std::string(1024, 'a')); }), "");
  EXPECT_EQ(refused([](v1::QueryPayload& m) { m.set_query(std::string(1025, 'a')); }),
            "cast.query.query");
  EXPECT_EQ(refused([](v1::QueryPayload& m) { m.set_limit(0); }), "cast.query.limit");
  EXPECT_EQ(refused([](v1::QueryPayload& m) { m.set_limit(10'000); }), "");
  EXPECT_EQ(refused([](v1::QueryPayload& m) { m.set_limit(10'001); }), "cast.query.limit");
}

TEST(FrameCodec, RefusesPagesThatDoNotBelongTogether) {
  Cast cast = ValidCast();
  cast.payload = PagePayload{PageNumber(4), true, PageNumber(0)};
  auto refused = [&](auto change) {
    return CastFieldRefused([&](v1::Cast& m) { change(*m.mutable_page()); }, cast);
  };

  EXPECT_EQ(refused([](v1::PagePayload& m) { m.clear_page(); }), "cast.page.page");
  EXPECT_EQ(refused([](v1::PagePayload& m) { m.mutable_page()->set_body("x"); }), "cast.page.page");
  EXPECT_EQ(refused([](v1::PagePayload& m) { m.mutable_page()->set_number(0); }),
            "cast.page.peer_page");
  EXPECT_EQ(refused([](v1::PagePayload& m) { m.mutable_peer_page()->set_number(1); }),
            "cast.page.peer_page");
  EXPECT_EQ(refused([](v1::PagePayload& m) {
              m.mutable_peer_page()->set_public_key(std::string(32, 'z'));
            }),
            "cast.page.peer_page");
  EXPECT_EQ(refused([](v1::PagePayload& m) { m.mutable_peer_page()->set_has_body(false); }),
            "cast.page.peer_page.has_body");
  EXPECT_EQ(FieldRefused(PageBodyFrame{PageNumber(1)},
                         [](v1::LinkFrame& m) { m.mutable_page()->set_has_body(false); }),
            "link_frame.page.has_body");
}

TEST(FrameCodec, DecodesDigests) {
  auto digest = std::make_shared<const TermDigest>(TermDigest::Of({1, 2, 3}));
  const Frame whole = **DecodeFrame(EncodeFrame(DigestFrame{~0ull, digest}));
  EXPECT_EQ(std::get<DigestFrame>(whole).version, ~0ull);
  EXPECT_EQ(*std::get<DigestFrame>(whole).digest, *digest);
  const Frame none = **DecodeFrame(EncodeFrame(DigestFrame{7, nullptr}));
  EXPECT_EQ(std::get<DigestFrame>(none).digest, nullptr);
  ExpectRoundTrip(DigestDelta{8, {0, 5, ~0u}});
}

TEST(FrameCodec, RefusesDigestsOutOfRange) {
  auto filter = [](size_t size) {
    return FieldRefused(DigestFrame{}, [size](v1::LinkFrame& m) {
      m.mutable_digest()->set_filter(std::string(size, 'f'));
    });
  };
  EXPECT_EQ(filter(kDigestSizeMin), "");
  EXPECT_EQ(filter(kDigestSizeMax), "");
  EXPECT_EQ(filter(kDigestSizeMin / 2), "digest.filter");
  EXPECT_EQ(filter(100), "digest.filter");
  EXPECT_EQ(filter(kDigestSizeMax + 1), "digest.filter");
  auto hashes = [](size_t count) {
    return FieldRefused(DigestDelta{1, {1}}, [count](v1::LinkFrame& m) {
      m.mutable_digest_delta()->clear_hashes();
      for (size_t i = 0; i < count; ++i) m.mutable_digest_delta()->add_hashes(7);
    });
  };
  EXPECT_EQ(hashes(kDigestDeltaMax), "");
  EXPECT_EQ(hashes(kDigestDeltaMax + 1), "digest_delta.hashes");
  EXPECT_EQ(hashes(0), "digest_delta.hashes");
}

// So many names, ascending, one after the other.
std::string NamesOf(size_t count) {
  std::string names;
  for (size_t i = 0; i < count; ++i) {
    names.append({0, 0, static_cast<char>(i >> 8), static_cast<char>(i)}).append(8, 'n');
  }
  return names;
}

TEST(FrameCodec, DecodesFramesOfFacts) {
  ExpectRoundTrip(FactDigest{kFactsMax, Sha256("names")});
  ExpectRoundTrip(FactWant{});
  ExpectRoundTrip(FactWant{{FactName{1}, FactName{2}}});
  ExpectRoundTrip(FactNames{{FactName{0, 9}, FactName{1}}});
  ExpectRoundTrip(FactBodies{true, {}});
  ExpectRoundTrip(FactBodies{false, {"one", std::string(kFactSizeMax, 'f')}});
}

TEST(FrameCodec, LetsTheNamesOfAllFactsFitAFrame) {
  v1::LinkFrame message;
  message.mutable_fact_names()->set_names(NamesOf(kFactsMax));
  EXPECT_TRUE(FromProto(message).ok());
}

TEST(FrameCodec, RefusesFramesOfFactsOutOfRange) {
  auto digest = [](uint32_t count, size_t size) {
    return FieldRefused(FactDigest{}, [=](v1::LinkFrame& m) {
      m.mutable_fact_digest()->set_count(count);
      m.mutable_fact_digest()->set_names_hash(std::string(size, 'h'));
    });
  };
  EXPECT_EQ(digest(kFactsMax, 32), "");
  EXPECT_EQ(digest(kFactsMax + 1, 32), "fact_digest.count");
  EXPECT_EQ(digest(0, 31), "fact_digest.names_hash");
  EXPECT_EQ(digest(0, 33), "fact_digest.names_hash");

  auto names = [](const std::string& bytes) {
    return FieldRefused(FactNames{},
                        [&](v1::LinkFrame& m) { m.mutable_fact_names()->set_names(bytes); });
  };
  EXPECT_EQ(names(NamesOf(kFactsMax)), "");
  EXPECT_EQ(names(NamesOf(kFactsMax + 1)), "fact_names.names");
  EXPECT_EQ(names(std::string(11, 'n')), "fact_names.names");
  EXPECT_EQ(names(std::string(24, 'n')), "fact_names.names");  // Twice the same.

  auto want = [](size_t count) {
    return FieldRefused(FactWant{}, [count](v1::LinkFrame& m) {
      m.mutable_fact_want()->set_names(NamesOf(count));
    });
  };
  EXPECT_EQ(want(kFactsPerFrameMax), "");
  EXPECT_EQ(want(kFactsPerFrameMax + 1), "fact_want.names");

  auto bodies = [](bool asked, size_t count, size_t size) {
    return FieldRefused(FactBodies{false, {"f"}}, [=](v1::LinkFrame& m) {
      m.mutable_fact_bodies()->set_asked(asked);
      m.mutable_fact_bodies()->clear_facts();
      for (size_t i = 0; i < count; ++i) m.mutable_fact_bodies()->add_facts(std::string(size, 'f'));
    });
  };
  EXPECT_EQ(bodies(true, 0, 1), "");
  EXPECT_EQ(bodies(false, 0, 1), "fact_bodies.facts");
  EXPECT_EQ(bodies(false, kFactsPerFrameMax, kFactSizeMax), "");
  EXPECT_EQ(bodies(false, kFactsPerFrameMax + 1, 1), "fact_bodies.facts");
  EXPECT_EQ(bodies(true, 1, kFactSizeMax + 1), "fact_bodies.facts");
  EXPECT_EQ(bodies(true, 1, 0), "fact_bodies.facts");
}

TEST(FrameCodec, RefusesDigestsAskedForOfWhatIsNoRangeOfAQuery) {
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.set_consult(kLinksPerPeerMax); }), "");
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.set_consult(kLinksPerPeerMax + 1); }),
            "cast.consult");
  auto contact = [](v1::Cast& m) {
    m.set_contact(true);
    m.set_end(1);
  };
  EXPECT_EQ(CastFieldRefused(contact), "");
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.set_contact(true); }), "cast.contact");
  EXPECT_EQ(CastFieldRefused([&](v1::Cast& m) { contact(m), m.set_consult(1); }), "cast.contact");
  EXPECT_EQ(CastFieldRefused([&](v1::Cast& m) { contact(m), m.set_everyone(true); }),
            "cast.contact");
  Cast page = ValidCast();
  page.end = 1;
  page.payload = PagePayload{PageNumber(4), false, PageNumber(0)};
  EXPECT_EQ(CastFieldRefused(contact, page), "cast.contact");
  EXPECT_EQ(CastFieldRefused([](v1::Cast& m) { m.set_consult(1); }, page), "cast.consult");
}

TEST(FrameCodec, RefusesAnswersOutOfRange) {
  auto refused = [](auto change) {
    return FieldRefused(Answer{}, [&](v1::LinkFrame& m) { change(*m.mutable_answer()); });
  };
  auto hits = [](int count) {
    return [count](v1::Answer& m) {
      while (m.hits_size() < count) m.add_hits()->set_publisher(Peer(1).ToBytes());
    };
  };

  EXPECT_EQ(refused([](v1::Answer& m) { m.clear_bubble_id(); }), "answer.bubble_id");
  EXPECT_EQ(refused([](v1::Answer& m) { m.set_begin(1'000'000); }), "answer.begin");
  EXPECT_EQ(refused([](v1::Answer& m) { m.set_unanswered(1'000'001); }), "answer.unanswered");
  EXPECT_EQ(refused([](v1::Answer& m) { m.set_consulted(kConsultedMax + 1); }), "answer.consulted");
  EXPECT_EQ(refused([](v1::Answer& m) { m.set_contacted(kConsultedMax + 1); }), "answer.contacted");
  EXPECT_EQ(refused(hits(1000)), "");
  EXPECT_EQ(refused(hits(1001)), "answer.hits");
  EXPECT_EQ(refused([](v1::Answer& m) { m.add_hits(); }), "answer.hits[0]");
}

TEST(FrameCodec, RefusesStandingQueriesAndHitsOutOfRange) {
  auto terms = [](auto change) {
    return CastFieldRefused([&](v1::Cast& m) {
      v1::StandingTerms* standing = m.mutable_query()->mutable_standing();
      standing->set_subscription_id(std::string(16, 's'));
      change(*standing);
    });
  };
  EXPECT_EQ(terms([](v1::StandingTerms& m) { m.set_lease_ms(3'600'000); }), "");
  EXPECT_EQ(terms([](v1::StandingTerms& m) { m.set_lease_ms(3'600'001); }),
            "cast.query.standing.lease_ms");
  EXPECT_EQ(terms([](v1::StandingTerms& m) { m.set_since_ms(3'600'001); }),
            "cast.query.standing.since_ms");
  EXPECT_EQ(terms([](v1::StandingTerms& m) { m.set_subscription_id(std::string(15, 's')); }),
            "cast.query.standing.subscription_id");

  const StandingHits one{.hits = {{{.name = "a"}, {Peer(1), {}}}}};
  auto hits = [&](auto change) {
    return FieldRefused(one, [&](v1::LinkFrame& m) { change(*m.mutable_standing_hits()); });
  };
  EXPECT_EQ(hits([](v1::StandingHits&) {}), "");
  EXPECT_EQ(hits([](v1::StandingHits& m) { m.clear_hits(); }), "standing_hits.hits");
  EXPECT_EQ(hits([](v1::StandingHits& m) {
              while (m.hits_size() <= 1000) m.add_hits()->set_publisher(Peer(1).ToBytes());
            }),
            "standing_hits.hits");
  EXPECT_EQ(hits([](v1::StandingHits& m) { m.set_subscription_id("s"); }),
            "standing_hits.subscription_id");
}

TEST(FrameCodec, RefusesMeasuresThatAreNoMasses) {
  auto refused = [](auto change) {
    return FieldRefused(ValidMeasure(), [&](v1::LinkFrame& m) { change(*m.mutable_measure()); });
  };

  EXPECT_EQ(refused([](v1::Measure& m) { m.set_fish(1 + 1e-12); }), "");
  EXPECT_EQ(refused([](v1::Measure& m) { m.set_fish(1.001); }), "measure.fish");
  EXPECT_EQ(refused([](v1::Measure& m) { m.set_fish(-0.1); }), "measure.fish");
  EXPECT_EQ(refused([](v1::Measure& m) { m.set_count(kInfinity); }), "measure.count");
  EXPECT_EQ(refused([](v1::Measure& m) { m.set_degree(-1); }), "measure.degree");
  EXPECT_EQ(refused([](v1::Measure& m) { m.set_last_degree(std::nan("")); }),
            "measure.last_degree");
}

TEST(FrameCodec, RefusesOtherFieldsOutOfRange) {
  EXPECT_EQ(
      FieldRefused(PageWant{}, [](v1::LinkFrame& m) { m.mutable_page_want()->set_number(16385); }),
      "page_want.number");
  EXPECT_EQ(
      FieldRefused(PageWant{}, [](v1::LinkFrame& m) { m.mutable_page_want()->set_publisher("x"); }),
      "page_want.publisher");
  EXPECT_EQ(FieldRefused(OpenStream{"/a/b"},
                         [](v1::LinkFrame& m) { m.mutable_open_stream()->clear_method(); }),
            "open_stream.method");
  EXPECT_EQ(FieldRefused(OpenStream{std::string(128, 'm')},
                         [](v1::LinkFrame& m) {
                           m.mutable_open_stream()->set_method(std::string(129, 'm'));
                         }),
            "open_stream.method");
  EXPECT_EQ(FieldRefused(Disconnect{},
                         [](v1::LinkFrame& m) { m.mutable_disconnect()->add_replacements(); }),
            "disconnect.replacements.peer_id");
}

}  // namespace
}  // namespace panal
