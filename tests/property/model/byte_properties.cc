#include "tests/property/model/byte_properties.h"

#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/base32.h"
#include "common/base/check.h"
#include "common/base/sha256.h"
#include "common/identity/api_token.h"
#include "common/identity/credential.h"
#include "common/identity/fact.h"
#include "common/identity/grant.h"
#include "common/identity/ticket.h"
#include "common/model/listing.h"
#include "common/model/manifest.h"
#include "common/model/object_ref.h"
#include "common/model/query.h"
#include "common/model/terms.h"
#include "common/wire/frame_codec.h"
#include "common/wire/page_codec.h"

namespace panal {
namespace {

// Within the dates of the corpora of what is signed: 2027-01-15 08:00:00 UTC.
constexpr absl::Time kSignedCorpusTime = absl::FromUnixSeconds(1'800'000'000);

int CountNodes(const QueryNode& node) {
  int count = 1;
  for (const QueryNode& child : node.children) count += CountNodes(child);
  return count;
}

}  // namespace

void CheckTerms(absl::string_view bytes) {
  size_t last_end = 0;
  for (const Term& term : Terms(bytes)) {
    PANAL_CHECK(!term.text.empty() && term.text.size() <= kTermSizeMax);
    PANAL_CHECK(term.begin >= last_end && term.end > term.begin && term.end <= bytes.size());
    last_end = term.end;
    std::vector<Term> again = Terms(term.text);
    PANAL_CHECK(again.size() == 1 && again[0].text == term.text);
  }
}

void CheckQuery(absl::string_view bytes) {
  CheckTerms(bytes);
  absl::StatusOr<Query> query = Query::Parse(bytes);
  if (!query.ok()) return;
  PANAL_CHECK(query->text() == bytes);
  PANAL_CHECK(CountNodes(query->root()) <= kQueryNodesMax);
  Record record;
  record.name = std::string(bytes);
  record.attributes = {{"lang", "es"}, {"year", "2024"}};
  Matches(*query, record, PeerId{});
}

void CheckListing(absl::string_view bytes) {
  absl::StatusOr<std::vector<ListingEntry>> entries = DecodeListing(bytes);
  if (entries.ok()) PANAL_CHECK(EncodeListing(*entries) == bytes);
}

void CheckManifest(absl::string_view bytes) {
  absl::StatusOr<Manifest> manifest = DecodeManifest(bytes);
  if (!manifest.ok()) return;
  PANAL_CHECK(manifest->Encode() == bytes);
  uint64_t size_bytes = 0;
  for (uint32_t i = 0; i < manifest->blocks.size(); ++i) size_bytes += manifest->BlockSize(i);
  PANAL_CHECK(size_bytes == manifest->size_bytes);
}

void CheckGrantChain(absl::string_view bytes) {
  absl::StatusOr<GrantChain> chain = DecodeChain(bytes);
  if (!chain.ok()) return;
  PANAL_CHECK(EncodeChain(*chain) == bytes);
  if (chain->grants.empty()) return;
  const PeerId peer = *PeerIdOfPublicKey(chain->grants.back().subject);
  absl::StatusOr<VerifiedCredential> verified = CheckCredential(
      bytes, MeshPolicy::kInvite, InviteMeshId(chain->root), peer, kSignedCorpusTime);
  if (verified.ok()) PANAL_CHECK(verified->chain.size() == chain->grants.size());
}

void CheckFactBytes(absl::string_view bytes) {
  absl::StatusOr<Fact> fact = DecodeFact(bytes);
  if (!fact.ok()) return;
  PANAL_CHECK(EncodeFact(*fact) == bytes);
  absl::StatusOr<VerifiedFact> verified =
      CheckFact(bytes, InviteMeshId(fact->signer.root), kSignedCorpusTime);
  if (!verified.ok()) return;
  PANAL_CHECK(verified->body == fact->body);
  absl::StatusOr<VerifiedFact> restored = RestoreFact(bytes, InviteMeshId(fact->signer.root));
  PANAL_CHECK(restored.ok() && restored->id == verified->id && restored->body == verified->body &&
              restored->time == verified->time && restored->expires == verified->expires &&
              restored->signer == verified->signer && restored->bytes == verified->bytes);
  const Revocations revocations({std::make_shared<VerifiedFact>(*verified)});
  const bool revokes = !CheckNotRevoked(revocations, verified->signer).ok();
  if (std::holds_alternative<Redemption>(verified->body)) PANAL_CHECK(!revokes);
  if (std::holds_alternative<MovedTo>(verified->body)) PANAL_CHECK(revokes);
}

void CheckTicketText(absl::string_view bytes) {
  // As text, and as what a text holds before its checksum, which no mutation would meet.
  const std::string checksum = Sha256(bytes).ToBytes().substr(0, 4);
  for (const std::string& text :
       {std::string(bytes), absl::StrCat("panal1-", Base32Encode(absl::StrCat(bytes, checksum)))}) {
    absl::StatusOr<Ticket> ticket = ParseTicket(text);
    if (!ticket.ok()) continue;
    PANAL_CHECK(PrintTicket(*ticket) == absl::StripAsciiWhitespace(text));
    absl::StatusOr<VerifiedTicket> verified = CheckTicket(
        EncodeChain(ticket->chain), InviteMeshId(ticket->chain.root), kSignedCorpusTime);
    if (verified.ok()) PANAL_CHECK(verified->key == ticket->chain.grants.back().subject);
  }
}

void CheckApiTokenFile(absl::string_view bytes) {
  const absl::StatusOr<std::vector<ApiToken>> tokens = ParseApiTokens(bytes);
  if (!tokens.ok()) return;
  const ApiTokenSet set(*tokens);
  std::string text;
  for (const ApiToken& token : *tokens) {
    absl::StrAppend(&text, PrintApiToken(token), "\n");
    const ApiTokenSet::Holder* holder = set.Find(token.token);
    PANAL_CHECK(holder != nullptr && holder->role == token.role && holder->name == token.name);
  }
  const absl::StatusOr<std::vector<ApiToken>> again = ParseApiTokens(text);
  PANAL_CHECK(again.ok() && *again == *tokens);
}

void CheckObjectRef(absl::string_view bytes) {
  absl::StatusOr<ObjectRef> ref = ObjectRef::Parse(bytes);
  if (!ref.ok()) return;
  absl::StatusOr<ObjectRef> again = ObjectRef::Parse(ref->ToText());
  PANAL_CHECK(again.ok() && *again == *ref);
}

void CheckPage(absl::string_view bytes) {
  absl::StatusOr<DecodedPage> page = DecodeSignedPage(bytes);
  if (!page.ok()) return;
  std::string encoded = EncodeSignedPage(*page->page, page->has_body);
  absl::StatusOr<DecodedPage> again = DecodeSignedPage(encoded);
  PANAL_CHECK(again.ok() && again->has_body == page->has_body);
  PANAL_CHECK(again->page->header == page->page->header);
  PANAL_CHECK(again->page->body == page->page->body);
  PANAL_CHECK(again->page->records == page->page->records);
}

void CheckFrame(absl::string_view bytes) {
  absl::StatusOr<std::optional<Frame>> frame = DecodeFrame(bytes);
  if (!frame.ok() || !frame->has_value()) return;
  std::string encoded = EncodeFrame(**frame);
  absl::StatusOr<std::optional<Frame>> again = DecodeFrame(encoded);
  PANAL_CHECK(again.ok() && again->has_value());
  PANAL_CHECK((*again)->index() == (*frame)->index());
  PANAL_CHECK(EncodeFrame(**again) == encoded);
}

const std::vector<ByteProperty>& ByteProperties() {
  static const auto* properties =
      new std::vector<ByteProperty>{{"query_fuzzer", CheckQuery},
                                    {"listing_fuzzer", CheckListing},
                                    {"manifest_fuzzer", CheckManifest},
                                    {"object_ref_fuzzer", CheckObjectRef},
                                    {"page_fuzzer", CheckPage},
                                    {"frame_fuzzer", CheckFrame},
                                    {"credential_fuzzer", CheckGrantChain},
                                    {"ticket_fuzzer", CheckTicketText},
                                    {"api_token_fuzzer", CheckApiTokenFile},
                                    {"fact_fuzzer", CheckFactBytes}};
  return *properties;
}

}  // namespace panal
