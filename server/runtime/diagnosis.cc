#include "server/runtime/diagnosis.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/base/units.h"
#include "server/data/block_store/file_system.h"

namespace panal {
namespace {

using Severity = Finding::Severity;

using JoinFailures = std::map<std::string, absl::Status>;

// What each join address answered, in the order of the settings.
std::string Tried(const NodeOptions& options, const JoinFailures& failures) {
  std::string tried;
  size_t named = 0;
  for (const JoinAddress& join : options.join) {
    if (named++ == kJoinFailuresNamedMax) {
      return absl::StrCat(tried, "; and ", options.join.size() - kJoinFailuresNamedMax, " more");
    }
    auto failed = failures.find(join.address);
    std::string why =
        failed == failures.end() ? "no failure so far" : std::string(failed->second.message());
    absl::string_view rest = why;  // The links name the address first, too.
    if (absl::ConsumePrefix(&rest, join.address)) absl::ConsumePrefix(&rest, ": ");
    absl::StrAppend(&tried, tried.empty() ? "" : "; ", join.address, ": ", rest);
  }
  return tried;
}

// For the first failure that can be told from a peer that is not there.
std::string JoinAdvice(const JoinFailures& failures) {
  for (const auto& [address, why] : failures) {
    if (ReasonOf(why) == ErrorReason::kMeshMismatch) {
      return absl::StrCat("start this peer with the --mesh of the peer at ", address,
                          ", or join by another address");
    }
    if (ReasonOf(why) == ErrorReason::kPeerIdMismatch) {
      return absl::StrCat("another peer than --join names listens at ", address,
                          ": correct the id before the @, or the address");
    }
  }
  return "check that a peer listens there (its --mesh-listen), that its mesh has the same name, "
         "and "
         "that no firewall is between; the log's join_failed lines say when it was tried";
}

Finding Links(const PeerStatus& status, const NodeOptions& options, const JoinFailures& failures) {
  std::string found =
      absl::StrCat(Counted(status.neighbors, "neighbor"), "; the mesh `", status.mesh_name,
                   "` has about ", Counted(status.mesh_size, "peer"));
  if (status.neighbors > 0) return {Severity::kOk, "links", found, ""};
  if (options.join.empty()) {
    return {Severity::kWarning, "links", "no neighbors, and no --join address was given",
            "this is fine for the first peer of a mesh; start others with --join and this peer's "
            "mesh address, or restart this one with --join"};
  }
  return {Severity::kError, "links", absl::StrCat("no neighbors; ", Tried(options, failures)),
          JoinAdvice(failures)};
}

Finding Addresses(const PeerStatus& status) {
  std::string list;
  bool reachable = false;
  for (const std::string& address : status.addresses) {
    absl::StrAppend(&list, list.empty() ? "" : " ", address);
    reachable = reachable || !IsLoopback(address);
  }
  if (reachable) return {Severity::kOk, "addresses", absl::StrCat("advertises ", list), ""};
  return {Severity::kWarning, "addresses",
          absl::StrCat("advertises only ", list, ", which other machines cannot dial"),
          "start with --mesh-listen 0.0.0.0:7401, or --advertise HOST:PORT behind a translation; "
          "nothing to do when every peer runs on this machine"};
}

Finding Disk(absl::string_view data_dir) {
  auto free_bytes = RealFileSystem().FreeBytes(data_dir);
  if (!free_bytes.ok()) {
    return {Severity::kError, "disk", std::string(free_bytes.status().message()),
            "check the data directory and its mount"};
  }
  std::string found = absl::StrCat(FormatSize(*free_bytes), " free at ", data_dir);
  std::string advice = "free some space, set --storage-max, or remove files with `panal rm`";
  if (*free_bytes < kDiskOutBytes) return {Severity::kError, "disk", found, advice};
  if (*free_bytes < kDiskLowBytes) return {Severity::kWarning, "disk", found, advice};
  return {Severity::kOk, "disk", found, ""};
}

Finding CatalogState(Catalog& catalog) {
  absl::Status status = catalog.CheckIntegrity();
  if (status.ok()) return {Severity::kOk, "catalog", "the catalog is sound", ""};
  return {
      Severity::kError, "catalog", std::string(status.message()),
      "stop the peer, move catalog.db and the files beside it whose names begin with catalog.db "
      "away, "
      "start it: it keeps its identity and holds the contents in blocks/, unpublished, under their "
      "ids (the names of blocks/*/*.map). Add the files again, or `panal get ID` publishes one"};
}

// What is held although nobody finds it by its name: a fetch goes on with it, or nobody does.
Finding Unpublished(Catalog& catalog) {
  absl::StatusOr<std::vector<FileId>> kept = catalog.KeptContents();
  if (!kept.ok()) {
    return {Severity::kError, "unpublished", std::string(kept.status().message()),
            "see what is said of the catalog"};
  }
  if (kept->empty()) return {Severity::kOk, "unpublished", "everything held is published", ""};
  std::string found = absl::StrCat(Counted(static_cast<int64_t>(kept->size()), "content"),
                                   kept->size() == 1 ? " is" : " are", " held and not published:");
  for (size_t i = 0; i < std::min(kept->size(), kUnpublishedNamedMax); ++i) {
    absl::StrAppend(&found, " ", (*kept)[i].ToText());
  }
  if (kept->size() > kUnpublishedNamedMax) absl::StrAppend(&found, " and others");
  return {
      Severity::kOk, "unpublished", found,
      "they were fetched in part, or were in blocks/ when the catalog was made new; `panal get ID` "
      "fetches the rest and publishes one, `panal rm ID` frees it"};
}

Finding Store(BlockStore& blocks, const NodeOptions& options) {
  std::string found = absl::StrCat(FormatSize(blocks.stored_bytes()), " of content stored");
  if (options.storage_max_bytes > 0) {
    absl::StrAppend(&found, " of at most ", FormatSize(options.storage_max_bytes));
  }
  return {Severity::kOk, "store", found, ""};
}

std::vector<Finding> Roots(const NodeOptions& options) {
  std::vector<Finding> findings;
  for (const std::string& root : options.roots) {
    if (RealFileSystem().Exists(root)) continue;
    findings.push_back({Severity::kWarning, "roots",
                        absl::StrCat("--root ", root, " does not exist"),
                        "make the folder, or start without this --root"});
  }
  return findings;
}

}  // namespace

std::vector<Finding> DiagnosePeer(const PeerStatus& status, const NodeOptions& options,
                                  const std::map<std::string, absl::Status>& join_failures,
                                  Catalog& catalog, BlockStore& blocks,
                                  absl::string_view data_dir) {
  std::vector<Finding> findings = {Links(status, options, join_failures),
                                   Addresses(status),
                                   Disk(data_dir),
                                   CatalogState(catalog),
                                   Unpublished(catalog),
                                   Store(blocks, options)};
  for (Finding& finding : Roots(options)) findings.push_back(std::move(finding));
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  return findings;
}

}  // namespace panal
