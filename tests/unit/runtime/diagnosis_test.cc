#include "server/runtime/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "server/data/block_store/file_system.h"
#include "tests/support/catalog_support.h"
#include "tests/unit/application/fake_parts.h"

namespace panal {
namespace {

using Severity = Finding::Severity;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class DiagnosisTest : public testing::Test {
 protected:
  DiagnosisTest() {
    catalog_ = catalog_test::OpenOrDie(catalog_test::OptionsIn(dir_));
    auto store = BlockStore::Open({.dir = absl::StrCat(dir_.path(), "/blocks")}, RealFileSystem());
    blocks_ = std::move(store).value();
    // A peer with nothing to complain about.
    status_.mesh_name = "lab";
    status_.neighbors = 3;
    status_.mesh_size = 40;
    status_.addresses = {"192.0.2.1:7401"};
  }

  std::vector<Finding> Diagnose() {
    return DiagnosePeer(status_, options_, join_failures_, *catalog_, *blocks_, data_dir_);
  }

  // The one finding about `subject`. REQUIRES: there is one.
  Finding About(const std::string& subject) {
    std::vector<Finding> found;
    for (Finding& finding : Diagnose()) {
      if (finding.subject == subject) found.push_back(std::move(finding));
    }
    PANAL_CHECK(found.size() == 1);
    return found[0];
  }

  catalog_test::TempDir dir_;
  std::string data_dir_ = dir_.path();
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<BlockStore> blocks_;
  PeerStatus status_;
  NodeOptions options_;
  std::map<std::string, absl::Status> join_failures_;
};

TEST_F(DiagnosisTest, ExaminesLinksAddressesDiskCatalogAndStore) {
  std::vector<std::string> subjects;
  for (const Finding& finding : Diagnose()) subjects.push_back(finding.subject);

  EXPECT_THAT(subjects, UnorderedElementsAre("links", "addresses", "disk", "catalog", "unpublished",
                                             "store"));
}

TEST_F(DiagnosisTest, SaysHowManyNeighborsThereAre) {
  const Finding links = About("links");

  EXPECT_EQ(links.severity, Severity::kOk);
  EXPECT_THAT(links.message, HasSubstr("3 neighbors"));
  EXPECT_THAT(links.message, HasSubstr("`lab` has about 40 peers"));
  EXPECT_EQ(links.advice, "");
  status_.neighbors = 1;
  EXPECT_THAT(About("links").message, HasSubstr("1 neighbor;"));
}

TEST_F(DiagnosisTest, WarnsOfAPeerAloneThatWasToldNoAddress) {
  status_.neighbors = 0;

  const Finding links = About("links");

  EXPECT_EQ(links.severity, Severity::kWarning);
  EXPECT_THAT(links.advice, HasSubstr("--join"));
}

TEST_F(DiagnosisTest, CallsItAnErrorWhenNoJoinAddressBroughtANeighbor) {
  status_.neighbors = 0;
  options_.join = {{.address = "a.example:7401"}, {.address = "b.example:7401"}};

  const Finding links = About("links");

  EXPECT_EQ(links.severity, Severity::kError);
  EXPECT_EQ(links.message,
            "no neighbors; a.example:7401: no failure so far; b.example:7401: no failure so far");
  EXPECT_THAT(links.advice, HasSubstr("join_failed"));
}

TEST_F(DiagnosisTest, SaysWhyEveryJoinAddressFailed) {
  status_.neighbors = 0;
  options_.join = {{.address = "a.example:7401"}, {.address = "b.example:7401"}};
  join_failures_["b.example:7401"] =
      Error(ErrorReason::kPeerUnreachable, "b.example:7401: connection refused");

  EXPECT_EQ(About("links").message,
            "no neighbors; a.example:7401: no failure so far; b.example:7401: connection refused");
  EXPECT_THAT(About("links").advice, HasSubstr("firewall"));

  join_failures_["a.example:7401"] = Error(ErrorReason::kMeshMismatch, "another mesh");
  EXPECT_THAT(About("links").advice, HasSubstr("--mesh of the peer at a.example:7401"));

  join_failures_["a.example:7401"] = Error(ErrorReason::kPeerIdMismatch, "another peer");
  EXPECT_THAT(About("links").advice, HasSubstr("correct the id before the @"));
}

TEST_F(DiagnosisTest, NamesJoinFailuresUpToItsLimit) {
  status_.neighbors = 0;
  options_.join.resize(kJoinFailuresNamedMax, {.address = "a.example:7401"});
  EXPECT_THAT(About("links").message, testing::Not(HasSubstr("more")));

  options_.join.push_back({.address = "last.example:7401"});

  EXPECT_THAT(About("links").message, HasSubstr("; and 1 more"));
  EXPECT_THAT(About("links").message, testing::Not(HasSubstr("last")));
}

TEST_F(DiagnosisTest, TakesOneAddressThatOthersCanDial) {
  status_.addresses = {"127.0.0.1:7401", "192.0.2.1:7401"};

  const Finding addresses = About("addresses");

  EXPECT_EQ(addresses.severity, Severity::kOk);
  EXPECT_THAT(addresses.message, HasSubstr("127.0.0.1:7401 192.0.2.1:7401"));
}

TEST_F(DiagnosisTest, WarnsOfAPeerThatOnlyThisMachineCanDial) {
  status_.addresses = {"127.0.0.1:7401"};

  const Finding addresses = About("addresses");

  EXPECT_EQ(addresses.severity, Severity::kWarning);
  EXPECT_THAT(addresses.message, HasSubstr("127.0.0.1:7401"));
  EXPECT_THAT(addresses.advice, HasSubstr("--advertise"));
}

TEST_F(DiagnosisTest, JudgesTheDiskByItsFreeBytes) {
  const int64_t free_bytes = RealFileSystem().FreeBytes(data_dir_).value();
  const Severity expected = free_bytes < kDiskOutBytes   ? Severity::kError
                            : free_bytes < kDiskLowBytes ? Severity::kWarning
                                                         : Severity::kOk;

  const Finding disk = About("disk");

  EXPECT_EQ(disk.severity, expected);
  EXPECT_THAT(disk.message, HasSubstr(absl::StrCat("free at ", data_dir_)));
}

TEST_F(DiagnosisTest, CallsADataDirectoryThatIsGoneAnError) {
  data_dir_ = absl::StrCat(dir_.path(), "/gone");

  const Finding disk = About("disk");

  EXPECT_EQ(disk.severity, Severity::kError);
  EXPECT_THAT(disk.message, HasSubstr("gone"));
  EXPECT_THAT(disk.advice, HasSubstr("data directory"));
}

TEST_F(DiagnosisTest, NamesWhatIsHeldUnpublishedUpToItsLimit) {
  EXPECT_EQ(About("unpublished").advice, "");
  std::vector<std::string> ids;
  auto keep = [&] {
    Manifest manifest = ManifestOf(FileType::kFile, absl::StrCat(ids.size()));
    ids.push_back(manifest.Id().ToText());
    ASSERT_TRUE(catalog_->KeepContents({{.id = manifest.Id(), .manifest = manifest}}).ok());
  };
  for (size_t i = 0; i < kUnpublishedNamedMax; ++i) keep();
  const Finding all = About("unpublished");
  for (const std::string& id : ids) EXPECT_THAT(all.message, HasSubstr(id));
  EXPECT_THAT(all.message, testing::Not(HasSubstr("others")));
  EXPECT_THAT(all.advice, HasSubstr("panal rm"));

  keep();

  EXPECT_THAT(About("unpublished").message, HasSubstr("and others"));
  EXPECT_THAT(About("unpublished").message, HasSubstr("11 contents"));
}

TEST_F(DiagnosisTest, FindsTheCatalogSound) { EXPECT_EQ(About("catalog").severity, Severity::kOk); }

// That the catalog itself notices damage is shown by its own tests.
TEST_F(DiagnosisTest, CallsADamagedCatalogAnError) {
  auto damaged = std::make_unique<testing::NiceMock<MockCatalog>>();
  ON_CALL(*damaged, CheckIntegrity)
      .WillByDefault(testing::Return(Error(ErrorReason::kCatalogCorrupt, "page 7 is torn")));
  catalog_ = std::move(damaged);

  const Finding catalog = About("catalog");

  EXPECT_EQ(catalog.severity, Severity::kError);
  EXPECT_THAT(catalog.message, HasSubstr("page 7 is torn"));
  EXPECT_THAT(catalog.advice, HasSubstr("catalog.db"));
}

TEST_F(DiagnosisTest, SaysHowMuchIsStoredAndOfHowMuch) {
  EXPECT_THAT(About("store").message, HasSubstr("0 B of content stored"));
  options_.storage_max_bytes = int64_t{3} << 30;

  const Finding store = About("store");

  EXPECT_EQ(store.severity, Severity::kOk);
  EXPECT_THAT(store.message, HasSubstr("of at most 3.0 GiB"));
}

TEST_F(DiagnosisTest, WarnsOfEveryRootThatDoesNotExist) {
  options_.roots = {dir_.path(), absl::StrCat(dir_.path(), "/gone")};

  const Finding roots = About("roots");

  EXPECT_EQ(roots.severity, Severity::kWarning);
  EXPECT_THAT(roots.message, HasSubstr(options_.roots[1]));
}

TEST_F(DiagnosisTest, SaysTheWorstFirst) {
  status_.addresses = {"127.0.0.1:7401"};
  data_dir_ = absl::StrCat(dir_.path(), "/gone");

  const std::vector<Finding> findings = Diagnose();

  ASSERT_GE(findings.size(), 3u);
  EXPECT_EQ(findings[0].subject, "disk");
  EXPECT_EQ(findings[1].subject, "addresses");
  for (size_t i = 2; i < findings.size(); ++i) EXPECT_EQ(findings[i].severity, Severity::kOk);
}

}  // namespace
}  // namespace panal
