#include "tests/property/model/random_values.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/wire/page_codec.h"

namespace panal {
namespace {

constexpr absl::string_view kWords[] = {"a", "report", "ñandú", "東京", "x\ny", "v1.2", " "};

std::string RandomText(Random& random) {
  std::string text = absl::StrCat(random.Below(1000));
  for (uint64_t i = random.Below(4); i > 0; --i) {
    absl::StrAppend(&text, kWords[random.Below(std::size(kWords))]);
  }
  return text;
}

std::string RandomAddress(Random& random) {
  uint64_t port = 1 + random.Below(65535);
  if (random.Below(4) == 0) return absl::StrCat("[::", random.Below(999), "]:", port);
  return absl::StrCat("host-", random.Below(99), ".example:", port);
}

std::vector<std::string> RandomAddresses(Random& random) {
  std::vector<std::string> addresses(random.Below(kContactAddressesMax + 1));
  for (std::string& address : addresses) address = RandomAddress(random);
  return addresses;
}

std::vector<PeerContact> RandomSample(Random& random) {
  std::vector<PeerContact> sample(random.Below(kSampleSizeMax + 1));
  for (PeerContact& contact : sample) contact = RandomContact(random);
  return sample;
}

std::vector<PeerId> RandomPath(Random& random, size_t least) {
  std::vector<PeerId> path(least + random.Below(static_cast<uint64_t>(kWalkTtlMax) + 2 - least));
  for (PeerId& id : path) id = RandomPeerId(random);
  return path;
}

BubbleId RandomBubble(Random& random) {
  BubbleId id;
  std::string bytes = random.Bytes(id.bytes.size());
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

int RandomTtl(Random& random) { return static_cast<int>(random.Below(kWalkTtlMax + 1)); }

bool RandomBool(Random& random) { return random.Below(2) == 1; }

PagePayload RandomPayload(Random& random) {
  PagePayload payload;
  auto number = static_cast<uint32_t>(random.Below(3));
  PagePtr page = RandomPage(random, number);
  payload.has_body = RandomBool(random);
  payload.page = page;
  if (!payload.has_body) payload.page = std::make_shared<Page>(Page{page->header, "", {}});
  if (number == 0 || RandomBool(random)) return payload;
  auto peer_page = std::make_shared<Page>(*RandomPage(random, kPeerPageNumber));
  peer_page->header.public_key = page->header.public_key;
  peer_page->header.key.publisher = page->header.key.publisher;
  payload.peer_page = peer_page;
  return payload;
}

Cast RandomCast(Random& random) {
  Cast cast;
  cast.bubble = RandomBubble(random);
  cast.origin = RandomPeerId(random);
  cast.seed = random.Next();
  cast.everyone = RandomBool(random);
  if (!cast.everyone) {
    cast.begin = static_cast<uint32_t>(random.Below(kBubbleSizeMax));
    cast.end = cast.begin + 1 + static_cast<uint32_t>(random.Below(kBubbleSizeMax - cast.begin));
  }
  cast.hops = static_cast<int>(random.Below(kCastHopsMax + 1));
  cast.budget_ms = static_cast<uint32_t>(random.Below(kBudgetMsMax + 1));
  if (RandomBool(random)) {
    cast.payload =
        QueryPayload{RandomText(random), 1 + static_cast<uint32_t>(random.Below(kSearchLimitMax))};
    cast.contact = !cast.everyone && random.Below(4) == 0;
    if (cast.contact) cast.begin = 0, cast.end = 1;
    const bool range = !cast.everyone && !cast.contact;
    cast.consult = range ? static_cast<uint32_t>(random.Below(kLinksPerPeerMax + 1)) : 0;
  } else {
    cast.payload = RandomPayload(random);
  }
  return cast;
}

Answer RandomAnswer(Random& random) {
  Answer answer;
  answer.bubble = RandomBubble(random);
  answer.begin = static_cast<uint32_t>(random.Below(kBubbleSizeMax));
  answer.final = RandomBool(random);
  answer.visited = static_cast<uint32_t>(random.Next());
  answer.unanswered = static_cast<uint32_t>(random.Below(kBubbleSizeMax + 1));
  answer.hits.resize(random.Below(8));
  for (Hit& hit : answer.hits) hit = RandomHit(random);
  answer.kept = static_cast<uint32_t>(random.Next());
  answer.full = static_cast<uint32_t>(random.Next());
  answer.truncated = RandomBool(random);
  answer.consulted = static_cast<uint32_t>(random.Below(kConsultedMax + 1));
  answer.contacted = static_cast<uint32_t>(random.Below(kConsultedMax + 1));
  return answer;
}

Measure RandomMeasure(Random& random) {
  Measure measure{random.Next(), random.Next(), random.Next(), random.Unit(), random.Unit() * 1e6};
  measure.degree = random.Unit() * 1e7;
  measure.degree_squared = random.Unit() * 1e9;
  measure.canaries_asked = random.Unit();
  measure.canaries_found = random.Unit();
  measure.last_count = random.Unit();
  measure.last_degree = random.Unit();
  measure.last_degree_squared = random.Unit();
  return measure;
}

std::vector<uint32_t> RandomHashes(Random& random) {
  std::vector<uint32_t> hashes(1 + random.Below(20));
  for (uint32_t& hash : hashes) hash = static_cast<uint32_t>(random.Next());
  return hashes;
}

// Ascending.
std::vector<FactName> RandomNames(Random& random) {
  std::vector<FactName> names(random.Below(20));
  for (FactName& name : names) name = NameOf(Sha256(random.Bytes(8)));
  std::sort(names.begin(), names.end());
  return names;
}

FactBodies RandomFacts(Random& random) {
  FactBodies bodies{.asked = RandomBool(random)};
  bodies.facts.resize((bodies.asked ? 0 : 1) + random.Below(5));
  for (std::string& fact : bodies.facts) fact = random.Bytes(1 + random.Below(kFactSizeMax));
  return bodies;
}

StandingHits RandomStandingHits(Random& random) {
  StandingHits hits;
  const std::string id = random.Bytes(hits.subscription.bytes.size());
  std::copy(id.begin(), id.end(), hits.subscription.bytes.begin());
  hits.hits.resize(1 + random.Below(8));
  for (Hit& hit : hits.hits) hit = RandomHit(random);
  return hits;
}

DigestFrame RandomDigest(Random& random) {
  DigestFrame frame{.version = random.Next()};
  if (random.Below(8) == 0) return frame;
  frame.digest = std::make_shared<const TermDigest>(TermDigest::Of(RandomHashes(random)));
  return frame;
}

Hello RandomHello(Random& random) {
  Hello hello;
  hello.protocol_min = 1 + static_cast<uint32_t>(random.Below(3));
  hello.protocol_max = hello.protocol_min + static_cast<uint32_t>(random.Below(3));
  hello.features.assign(random.Below(4), "feature");
  hello.capacity = 0.1 + random.Unit() * 100;
  hello.addresses = RandomAddresses(random);
  hello.version = "1.2.3";
  return hello;
}

}  // namespace

PeerId RandomPeerId(Random& random) { return *PeerId::FromBytes(random.Bytes(PeerId::kSize)); }

PeerContact RandomContact(Random& random) {
  PeerId id = RandomPeerId(random);
  return {id, RandomAddresses(random)};
}

Record RandomRecord(Random& random) {
  Record record;
  record.kind = static_cast<RecordKind>(1 + random.Below(3));
  record.name = RandomText(random);
  if (record.kind != RecordKind::kObject) {
    record.id = *Sha256Digest::FromBytes(random.Bytes(Sha256Digest::kSize));
  }
  record.size_bytes = random.Below(kRecordSizeBytesMax + 1);
  for (uint64_t i = random.Below(5); i > 0; --i) {
    record.attributes[absl::StrCat("k", random.Below(50))] = RandomText(random);
  }
  record.version = random.Next();
  return record;
}

Hit RandomHit(Random& random) {
  Record record = RandomRecord(random);
  return {std::move(record), RandomContact(random)};
}

PagePtr RandomPage(Random& random, uint32_t number) {
  auto page = std::make_shared<Page>();
  page->header.public_key = random.Bytes(kPageKeySize);
  page->header.key = {*PublisherOfKey(page->header.public_key), number};
  page->header.version = random.Next();
  page->header.expires_ms = random.Next();
  page->header.signature = random.Bytes(kPageSignatureSize);
  for (uint64_t i = random.Below(6); i > 0; --i) page->records.push_back(RandomRecord(random));
  page->body = EncodePageBody(page->records);
  page->header.body_hash = Sha256(page->body);
  return page;
}

Frame RandomFrame(Random& random, size_t kind) {
  static_assert(std::variant_size_v<Frame> == 22, "a frame of a new kind needs a case");
  switch (kind) {
    case 0:
      return RandomHello(random);
    case 1:
      return Join{};
    case 2:
      return ForwardJoin{RandomContact(random), RandomTtl(random)};
    case 3:
      return NeighborAsk{RandomBool(random)};
    case 4:
      return NeighborReply{RandomBool(random)};
    case 5:
      return Disconnect{RandomBool(random), RandomSample(random)};
    case 6:
      return Shuffle{RandomTtl(random), RandomPath(random, 1), RandomSample(random)};
    case 7:
      return ShuffleReply{RandomPath(random, 0), RandomSample(random)};
    case 8:
      return RandomCast(random);
    case 9:
      return RandomAnswer(random);
    case 10:
      return PageWant{{RandomPeerId(random), static_cast<uint32_t>(random.Below(9))},
                      random.Next()};
    case 11:
      return PageBodyFrame{RandomPage(random, static_cast<uint32_t>(random.Below(9)))};
    case 12:
      return RandomMeasure(random);
    case 13:
      return MeasureAck{random.Next()};
    case 15:
      return RandomStandingHits(random);
    case 16:
      return RandomDigest(random);
    case 17:
      return DigestDelta{random.Next(), RandomHashes(random)};
    case 18:
      return FactDigest{static_cast<uint32_t>(random.Below(kFactsMax + 1)),
                        Sha256(random.Bytes(8))};
    case 19:
      return FactWant{RandomNames(random)};
    case 20:
      return FactNames{RandomNames(random)};
    case 21:
      return RandomFacts(random);
    default:
      return OpenStream{"/panal.v1.PeerObject/Call"};
  }
}

}  // namespace panal
