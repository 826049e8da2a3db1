#include "server/runtime/page_signer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/wire/page_codec.h"
#include "tests/support/catalog_support.h"

namespace panal {
namespace {

using catalog_test::kNow;
using catalog_test::TempDir;

MeshId MeshOf(absl::string_view name) { return catalog_test::IdOf<MeshId>(name); }

class PageSignerTest : public testing::Test {
 protected:
  PageSignerTest()
      : catalog_(catalog_test::OpenOrDie(catalog_test::OptionsIn(dir_))),
        signer_(identity_, mesh_, *catalog_) {}

  void Publish(const std::string& name) {
    ASSERT_TRUE(catalog_->Publish({catalog_test::MakeFile(name, name)}).ok());
  }

  PagePtr SignOne(absl::Time now = kNow) {
    auto pages = signer_.SignDirty(now);
    EXPECT_TRUE(pages.ok() && pages->size() == 1u) << pages.status();
    return pages.ok() && !pages->empty() ? pages->front() : nullptr;
  }

  // A page of another peer, signed for `mesh`.
  static Page Foreign(const Identity& identity, const MeshId& mesh, absl::Time expires) {
    Page page = catalog_test::MakePage(identity.peer_id(), 1, 1, {}, expires);
    page.header.public_key = identity.public_key();
    page.header.signature = identity.Sign(PageSigningBytes(mesh, page.header));
    return page;
  }

  TempDir dir_;
  const Identity identity_ = Identity::Generate();
  const MeshId mesh_ = MeshOf("mesh");
  std::unique_ptr<Catalog> catalog_;
  PageSigner signer_;
};

TEST_F(PageSignerTest, SignsWhatIsDirtyAndNothingElse) {
  EXPECT_TRUE(signer_.SignDirty(kNow)->empty());
  Publish("a");

  PagePtr page = SignOne();

  ASSERT_NE(page, nullptr);
  EXPECT_EQ(page->header.key.publisher, identity_.peer_id());
  ASSERT_EQ(page->records.size(), 1u);
  EXPECT_EQ(page->records[0].name, "a");
  EXPECT_EQ(page->body, EncodePageBody(page->records));
  EXPECT_EQ(page->header.body_hash, Sha256(page->body));
  EXPECT_EQ(page->header.expires_ms,
            static_cast<uint64_t>(absl::ToUnixMillis(kNow + kPageLifetime)));
  EXPECT_TRUE(signer_.Verify(*page, kNow));
  EXPECT_TRUE(DecodeSignedPage(EncodeSignedPage(*page, true)).ok());
  EXPECT_TRUE(signer_.SignDirty(kNow)->empty());
}

// S1
TEST_F(PageSignerTest, HandsOutOnlyPagesThatAreCommitted) {
  Publish("a");
  PagePtr page = SignOne();

  auto reopened = catalog_test::OpenOrDie(catalog_test::OptionsIn(dir_));
  auto kept = reopened->FindPage(page->header.key);

  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_TRUE(catalog_test::SamePage(**kept, *page));
}

// S1, S2
TEST_F(PageSignerTest, NeverSignsTwoBodiesUnderOneVersion) {
  std::map<uint64_t, Sha256Digest> bodies;
  for (int i = 0; i < 20; ++i) {
    Publish(absl::StrCat("file ", i));
    PagePtr page = SignOne();
    ASSERT_NE(page, nullptr);
    EXPECT_TRUE(bodies.emplace(page->header.version, page->header.body_hash).second);
    EXPECT_EQ(bodies.rbegin()->first, page->header.version);  // Versions rise.
  }
}

// S2
TEST_F(PageSignerTest, KeepsVersionsRisingWhenSignAndRefreshRace) {
  Publish("first");
  uint32_t number = SignOne()->header.key.number;
  std::atomic<bool> stop{false};
  std::thread refresher([&] {
    while (!stop) EXPECT_TRUE(signer_.Refresh({number}, kNow).ok());
  });
  uint64_t last = 0;
  for (int i = 0; i < 50; ++i) {
    Publish(absl::StrCat("f", i));
    auto pages = signer_.SignDirty(kNow);
    EXPECT_TRUE(pages.ok() && pages->size() == 1u);
    EXPECT_GT(pages->front()->header.version, last);
    last = pages->front()->header.version;
  }
  stop = true;
  refresher.join();
  // What is stored in the end is the newest, not a refresh of an older one.
  EXPECT_EQ((*catalog_->FindPage({identity_.peer_id(), number}))->header.version, last);
}

TEST_F(PageSignerTest, RefreshKeepsVersionAndBodyAndMovesTheExpiry) {
  Publish("a");
  PagePtr page = SignOne();
  absl::Time later = kNow + kPageRefreshInterval;

  auto fresh = signer_.Refresh({page->header.key.number, 4711}, later);

  ASSERT_TRUE(fresh.ok()) << fresh.status();
  ASSERT_EQ(fresh->size(), 1u);  // Number 4711 is not here.
  const PageHeader& header = fresh->front()->header;
  EXPECT_EQ(header.version, page->header.version);
  EXPECT_EQ(fresh->front()->body, page->body);
  EXPECT_EQ(header.expires_ms, static_cast<uint64_t>(absl::ToUnixMillis(later + kPageLifetime)));
  EXPECT_TRUE(signer_.Verify(*fresh->front(), later));
  EXPECT_EQ((*catalog_->FindPage(header.key))->header, header);
}

TEST_F(PageSignerTest, LoadsAllPagesAfterARestartAndRefreshesThoseThatAge) {
  for (size_t i = 0; i < kPageRecordsMax + 1; ++i) Publish(absl::StrCat("file ", i));
  auto pages = signer_.SignDirty(kNow);
  ASSERT_TRUE(pages.ok());
  ASSERT_EQ(pages->size(), 2u);

  auto fresh = signer_.LoadAll(kNow + kPageLifetime / 3 - absl::Milliseconds(1));
  ASSERT_TRUE(fresh.ok() && fresh->size() == 2u);
  EXPECT_TRUE(catalog_test::SamePage(*fresh->front(), *pages->front()));

  absl::Time later = kNow + kPageLifetime + absl::Hours(1);
  auto aged = signer_.LoadAll(later);
  ASSERT_TRUE(aged.ok() && aged->size() == 2u);
  EXPECT_EQ(aged->front()->header.version, pages->front()->header.version);
  EXPECT_TRUE(signer_.Verify(*aged->front(), later));
}

TEST_F(PageSignerTest, SignsABatchAtATime) {
  // One record a page: a name of the largest size fills bodies quickly.
  std::vector<PublishedFile> files;
  for (size_t i = 0; i < (kSignBatchMax + 1) * kPageRecordsMax; ++i) {
    files.push_back(catalog_test::MakeFile(absl::StrCat("f", i), absl::StrCat(i)));
  }
  ASSERT_TRUE(catalog_->Publish(files).ok());

  size_t first = signer_.SignDirty(kNow)->size();
  size_t second = signer_.SignDirty(kNow)->size();

  EXPECT_EQ(first, static_cast<size_t>(kSignBatchMax));
  EXPECT_GE(second, 1u);
  EXPECT_TRUE(signer_.SignDirty(kNow)->empty());
}

TEST_F(PageSignerTest, RefusesWhatWasTamperedWith) {
  Publish("a");
  const Page good = *SignOne();
  auto expect_refused = [&](const char* what, auto change) {
    Page page = good;
    change(page);
    EXPECT_FALSE(signer_.Verify(page, kNow)) << what;
  };
  // Before the good one is remembered, and after.
  for (int round = 0; round < 2; ++round) {
    expect_refused("number", [](Page& p) { ++p.header.key.number; });
    expect_refused("version", [](Page& p) { ++p.header.version; });
    expect_refused("expiry", [](Page& p) { ++p.header.expires_ms; });
    expect_refused("hash", [](Page& p) { p.header.body_hash.bytes[0] ^= 1; });
    expect_refused("signature", [](Page& p) { p.header.signature[63] ^= 1; });
    expect_refused("no signature", [](Page& p) { p.header.signature.clear(); });
    expect_refused("key", [](Page& p) { p.header.public_key[0] ^= 1; });
    expect_refused("no key", [](Page& p) { p.header.public_key.clear(); });
    expect_refused("publisher", [](Page& p) { p.header.key.publisher.bytes[0] ^= 1; });
    EXPECT_TRUE(signer_.Verify(good, kNow));
  }
}

TEST_F(PageSignerTest, TheDecoderRefusesABodyThatWasTamperedWith) {
  Publish("a");
  Page page = *SignOne();
  page.body[page.body.size() - 1] ^= 1;

  EXPECT_EQ(ReasonOf(DecodeSignedPage(EncodeSignedPage(page, true)).status()),
            ErrorReason::kPageInvalid);
}

TEST_F(PageSignerTest, RefusesAPageThatAnotherSignedInThePublishersName) {
  Identity forger = Identity::Generate();
  Publish("a");
  Page page = *SignOne();
  page.header.public_key = forger.public_key();
  page.header.signature = forger.Sign(PageSigningBytes(mesh_, page.header));

  EXPECT_FALSE(signer_.Verify(page, kNow));
}

TEST_F(PageSignerTest, RefusesAPageOfAnotherMesh) {
  Identity other = Identity::Generate();

  EXPECT_TRUE(signer_.Verify(Foreign(other, mesh_, kNow + kPageLifetime), kNow));
  EXPECT_FALSE(signer_.Verify(Foreign(other, MeshOf("another"), kNow + kPageLifetime), kNow));
}

// S4
TEST_F(PageSignerTest, RefusesAPageThatExpiredOrLivesTooLongThoughItIsRemembered) {
  Identity other = Identity::Generate();
  Page page = Foreign(other, mesh_, kNow + kPageExpiryMax);

  EXPECT_TRUE(signer_.Verify(page, kNow));
  EXPECT_FALSE(signer_.Verify(page, kNow - absl::Milliseconds(1)));
  EXPECT_TRUE(signer_.Verify(page, kNow + kPageExpiryMax - absl::Milliseconds(1)));
  EXPECT_FALSE(signer_.Verify(page, kNow + kPageExpiryMax));
}

}  // namespace
}  // namespace panal
