// Whole peers in one process, as server/main.cc starts them: real ports on 127.0.0.1, real data
// directories, real TLS.
#include "server/runtime/node.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "client/proxy/client.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/model/manifest.h"
#include "common/rpc/initialize.h"
#include "server/processing/search/page_spreader.h"
#include "server/processing/search/sizes.h"
#include "tests/support/catalog_support.h"
#include "tests/support/eventually.h"

namespace panal {
namespace {

using catalog_test::TempDir;

struct Found {
  std::vector<Hit> hits;
  SearchSummary summary;
};

Found Search(Node& node, const std::string& query, double recall = 0.99) {
  struct State {
    Found found;
    absl::Notification done;
  };

  auto state = std::make_shared<State>();  // Shared with the handlers.
  SearchHandlers handlers;
  handlers.on_hits = [state](std::vector<Hit> hits) {
    for (Hit& hit : hits) state->found.hits.push_back(std::move(hit));
  };
  handlers.on_done = [state](const SearchSummary& summary) {
    state->found.summary = summary;
    state->done.Notify();
  };
  node.mesh().StartSearch(query, recall, 1000, 0, absl::Seconds(20), std::move(handlers));
  EXPECT_TRUE(state->done.WaitForNotificationWithTimeout(kPatience));
  return state->found;
}

std::set<std::string> NamesOf(const std::vector<Hit>& hits) {
  std::set<std::string> names;
  for (const Hit& hit : hits) names.insert(hit.record.name);
  return names;
}

// The peers of one test.
class NodeTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    InitializeRpc();
    const char* level = std::getenv("PANAL_LOG_LEVEL");
    EXPECT_TRUE(SetLogLevel(absl::string_view(level != nullptr ? level : "error")).ok());
  }

  void TearDown() override {
    clients_.clear();
    // All at once: one after the other, those that are left would mend the mesh each time.
    std::vector<std::thread> threads;
    for (auto& node : nodes_) {
      if (node != nullptr) threads.emplace_back([&node] { node->Stop(); });
    }
    for (std::thread& thread : threads) thread.join();
    nodes_.clear();
  }

  // Options of peer `i`, which joins by the first one.
  NodeOptions Options(size_t i) {
    NodeOptions options;
    options.data_dir = absl::StrCat(dir_.path(), "/", i);
    options.mesh_name = "test";
    options.policy = "open";
    options.mesh_listen = "127.0.0.1:0";
    options.api_listen = "127.0.0.1:0";
    options.http_listen = "off";
    options.stop_grace = absl::Seconds(1);
    options.core = core_;
    for (WorkClassOptions& work_class : options.dispatcher.classes) work_class.threads = workers_;
    if (i > 0 && !nodes_.empty() && nodes_[0] != nullptr) {
      options.join = {{nodes_[0]->addresses().mesh, nodes_[0]->addresses().peer_id}};
    }
    return options;
  }

  void StartOne(size_t i, NodeOptions options) {
    auto node = Node::Start(std::move(options));
    ASSERT_TRUE(node.ok()) << node.status();
    if (nodes_.size() <= i) {
      nodes_.resize(i + 1);
      clients_.resize(i + 1);
    }
    nodes_[i] = *std::move(node);
    clients_[i] = nullptr;
  }

  // Starts peers and waits until each estimates the mesh's size within a tenth.
  void StartMesh(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      NodeOptions options = Options(i);
      // By one of those that run, or the first would do all the handshakes.
      if (i > 0) options.join = {{nodes_[i / 2]->addresses().mesh, std::nullopt}};
      ASSERT_NO_FATAL_FAILURE(StartOne(i, std::move(options)));
      // At most eight join at once.
      if (i < 8) continue;
      ASSERT_TRUE(Eventually([&] { return !nodes_[i - 7]->mesh().Neighbors().empty(); }));
    }
    ASSERT_TRUE(Eventually([&] { return SizesWithin(count, 0.1); })) << Sizes();
  }

  bool SizesWithin(size_t count, double share) {
    double n = static_cast<double>(count);
    return std::all_of(nodes_.begin(), nodes_.end(), [&](const std::unique_ptr<Node>& node) {
      if (node == nullptr) return true;
      double size = static_cast<double>(node->mesh().Status().mesh_size);
      return size >= n * (1 - share) && size <= n * (1 + share);
    });
  }

  std::string Sizes() {
    std::string text;
    for (const auto& node : nodes_) {
      if (node != nullptr) absl::StrAppend(&text, node->mesh().Status().mesh_size, " ");
    }
    return text;
  }

  Client& client(size_t i) {
    if (clients_[i] == nullptr) {
      auto client = Client::Connect({.address = nodes_[i]->addresses().api});
      EXPECT_TRUE(client.ok()) << client.status();
      clients_[i] = *std::move(client);
    }
    return *clients_[i];
  }

  void Stop(size_t i) {
    clients_[i].reset();
    nodes_[i].reset();
  }

  std::string Put(size_t i, const std::string& name, const std::string& content) {
    v1::PutFileRequest request;
    request.set_name(name);
    request.set_content(content);
    auto response = client(i).PutFile(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->id() : "";
  }

  absl::StatusOr<v1::FetchFileResponse> Fetch(size_t i, const std::string& id) {
    v1::FetchFileRequest request;
    request.set_id(id);
    return client(i).FetchFile(request, [](const v1::FetchFileResponse&) {});
  }

  absl::StatusOr<std::string> Read(size_t i, const std::string& id) {
    v1::ReadFileRequest request;
    request.set_id(id);
    std::string bytes;
    absl::Status status = client(i).ReadFile(request, [&](const std::string& part) {
      bytes += part;
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return bytes;
  }

  // Copies of a page that the mesh wants, by the degrees that its peers have now, less what a
  // publisher leaves as it is (kRespreadGrowth).
  size_t CopiesWanted() {
    MeshEstimate estimate{.peers = static_cast<double>(nodes_.size()), .measured = true};
    for (const auto& node : nodes_) {
      const auto degree = static_cast<double>(node->mesh().Neighbors().size());
      estimate.degree_sum += degree;
      estimate.degree_square_sum += degree * degree;
    }
    BubbleSizes sizes(core_.search);
    sizes.SetEstimate(estimate);
    return static_cast<size_t>(sizes.PageSize() / kRespreadGrowth);
  }

  // Copies of the treasure that the fewest peers keep. So little recall asks a peer's own index.
  size_t FewestCopies(size_t treasures) {
    std::map<std::string, size_t> copies;
    for (size_t i = 0; i < treasures; ++i) copies[absl::StrCat("treasure ", i)] = 0;
    for (const auto& node : nodes_) {
      Found found = Search(*node, "treasure", 0.001);
      EXPECT_EQ(found.summary.peers_reached, 1u);
      for (const std::string& name : NamesOf(found.hits)) ++copies[name];
    }
    size_t fewest = nodes_.size();
    for (const auto& [name, count] : copies) fewest = std::min(fewest, count);
    return fewest;
  }

  // Publishes a file at every peer, waits until its page is spread, and measures once whether
  // searches at recall 0.99 keep their promise over all (searcher, file) pairs. At most
  // n * p + 4 * sqrt(n * p * (1 - p)) may be missed, p = 0.01: a mesh that just keeps the promise
  // exceeds that in one of 5,000 runs.
  void ExpectPromiseKept(size_t count) {
    constexpr double kMiss = 0.01;
    ASSERT_TRUE(Eventually([&] { return SizesWithin(count, 0); })) << Sizes();
    for (size_t i = 0; i < count; ++i) Put(i, absl::StrCat("treasure ", i), absl::StrCat(i));
    ASSERT_TRUE(Eventually([&] { return FewestCopies(count) >= CopiesWanted(); }))
        << FewestCopies(count) << " of " << CopiesWanted();

    size_t missed = 0;
    for (const auto& node : nodes_) {
      for (size_t j = 0; j < count; ++j) {
        std::string name = absl::StrCat("treasure ", j);
        Found one = Search(*node, absl::StrCat("\"", name, "\""));
        EXPECT_TRUE(one.summary.complete);
        EXPECT_GE(one.summary.recall, 1 - kMiss);
        missed += NamesOf(one.hits).contains(name) ? 0 : 1;
      }
    }
    const auto asked = static_cast<double>(count * count);
    EXPECT_LE(static_cast<double>(missed),
              asked * kMiss + 4 * std::sqrt(asked * kMiss * (1 - kMiss)))
        << missed << " of " << asked;
  }

  TempDir dir_;
  CoreOptions core_;
  int workers_ = 1;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Client>> clients_;
};

TEST_F(NodeTest, FivePeersFindAndFetchEachOthersFiles) {
  StartMesh(5);
  std::string large = Random(1).Bytes(900'000);
  std::string id = Put(0, "large.bin", large);
  std::string small = Put(1, "small.txt", "hello");

  std::vector<v1::Hit> hits;
  v1::SearchRequest request;
  request.set_query("large");
  auto summary = client(3).Search(request, [&](const v1::Hit& hit) {
    hits.push_back(hit);
    return true;
  });

  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->peers_reached(), 5);
  EXPECT_EQ(summary->recall(), 1.0);
  EXPECT_TRUE(summary->complete());
  ASSERT_EQ(hits.size(), 1u);
  EXPECT_EQ(hits[0].id(), id);
  EXPECT_EQ(hits[0].publisher(), nodes_[0]->addresses().peer_id.ToText());
  EXPECT_THAT(hits[0].publisher_addresses(), testing::ElementsAre(nodes_[0]->addresses().mesh));

  auto fetched = Fetch(3, id);
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_EQ(fetched->sources(), 1);
  EXPECT_EQ(fetched->name(), "large.bin");
  EXPECT_TRUE(Read(3, id).value() == large);
  ASSERT_TRUE(Fetch(3, small).ok());
  EXPECT_EQ(Read(3, small).value(), "hello");
}

TEST_F(NodeTest, FindsWhatWasJustAcknowledged) {
  StartMesh(3);
  for (int i = 0; i < 30; ++i) {
    std::string name = absl::StrCat("fresh ", i);
    Put(0, name, name);

    // The very next thing asked; one search of the publisher itself, one of another peer.
    EXPECT_THAT(NamesOf(Search(*nodes_[i % 2], absl::StrCat("\"", name, "\"")).hits),
                testing::ElementsAre(name));
  }
}

TEST_F(NodeTest, SaysAtOnceThatNobodyHasAFile) {
  StartMesh(3);
  std::string nowhere = ManifestOf(FileType::kFile, "nowhere").Id().ToText();

  auto fetched = Fetch(1, nowhere);

  EXPECT_EQ(ReasonNameOf(fetched.status()), "SOURCE_NOT_FOUND") << fetched.status();
  EXPECT_EQ(MetadataOf(fetched.status())["peers_asked"], "3");
}

TEST_F(NodeTest, FetchesFromTheSwarmWhenThePublisherIsGone) {
  StartMesh(4);
  std::string bytes = Random(2).Bytes(700'000);
  std::string id = Put(1, "loved", bytes);
  ASSERT_TRUE(Fetch(2, id).ok());

  Stop(1);
  auto fetched = Fetch(3, id);

  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_TRUE(Read(3, id).value() == bytes);
}

TEST_F(NodeTest, ComesBackAsTheSamePeerOnAnotherPortWithoutABootstrapAddress) {
  StartMesh(4);
  std::string id = Put(1, "kept", "what was acknowledged");
  NodeAddresses before = nodes_[1]->addresses();
  ASSERT_TRUE(Eventually([&] { return nodes_[1]->mesh().Neighbors().size() == 3; }));

  Stop(1);
  ASSERT_TRUE(Eventually([&] { return SizesWithin(3, 0.1); })) << Sizes();
  NodeOptions options = Options(1);
  options.join.clear();
  StartOne(1, std::move(options));

  EXPECT_EQ(nodes_[1]->addresses().peer_id, before.peer_id);
  EXPECT_NE(nodes_[1]->addresses().mesh, before.mesh);
  EXPECT_TRUE(Eventually([&] { return nodes_[1]->mesh().Neighbors().size() == 3; }));
  EXPECT_EQ(Read(1, id).value(), "what was acknowledged");
  // The others learn its new address, and dial it there.
  EXPECT_TRUE(Eventually([&] {
    Found found = Search(*nodes_[3], "kept");
    return found.hits.size() == 1 && found.hits[0].publisher.addresses ==
                                         std::vector<std::string>{nodes_[1]->addresses().mesh};
  }));
  EXPECT_TRUE(Fetch(3, id).ok());
}

TEST_F(NodeTest, SurvivorsStayOneMeshWhenPeersGo) {
  StartMesh(8);
  for (size_t i : {1, 3, 5, 7}) Put(i, absl::StrCat("of ", i), absl::StrCat(i));
  for (size_t i : {2, 4, 6}) Stop(i);

  ASSERT_TRUE(Eventually([&] { return SizesWithin(5, 0.1); })) << Sizes();
  Found found = Search(*nodes_[0], "of");

  EXPECT_EQ(found.summary.peers_reached, 5u);
  EXPECT_EQ(found.summary.recall, 1.0);
  EXPECT_THAT(NamesOf(found.hits), testing::UnorderedElementsAre("of 1", "of 3", "of 5", "of 7"));
}

TEST_F(NodeTest, PeersOfMeshesWithDifferentNamesNeverLink) {
  StartMesh(2);
  NodeOptions options = Options(2);
  options.mesh_name = "another";
  ASSERT_NO_FATAL_FAILURE(StartOne(2, std::move(options)));
  // One that joins after it is a neighbor while the other mesh's was refused.
  ASSERT_NO_FATAL_FAILURE(StartOne(3, Options(3)));

  ASSERT_TRUE(Eventually([&] { return nodes_[3]->mesh().Neighbors().size() == 2; }));
  EXPECT_TRUE(nodes_[2]->mesh().Neighbors().empty());
  EXPECT_EQ(Search(*nodes_[2], "kind:peer", 1.0).hits.size(), 1u);
  EXPECT_EQ(Search(*nodes_[0], "kind:peer", 1.0).hits.size(), 3u);
}

TEST_F(NodeTest, SignsItsPagesAnewInAnotherMesh) {
  core_.search.saturated_factor = 0;
  StartMesh(1);
  Put(0, "moved", "content");
  Stop(0);
  NodeOptions options = Options(0);
  options.mesh_name = "another";
  ASSERT_NO_FATAL_FAILURE(StartOne(0, std::move(options)));
  NodeOptions second = Options(1);
  second.mesh_name = "another";
  ASSERT_NO_FATAL_FAILURE(StartOne(1, std::move(second)));

  // The page reaches the other peer's own index: that alone is asked for so little recall.
  EXPECT_TRUE(Eventually([&] {
    Found found = Search(*nodes_[1], "moved", 0.001);
    return found.summary.peers_reached == 1 && found.hits.size() == 1;
  }));
}

TEST_F(NodeTest, IdlePeersStopAtOnceThoughAllStopTogether) {
  StartMesh(1);
  for (size_t i : {1, 2}) {
    NodeOptions options = Options(i);
    options.http_listen = "127.0.0.1:0";
    ASSERT_NO_FATAL_FAILURE(StartOne(i, std::move(options)));
  }
  ASSERT_TRUE(Eventually([&] { return SizesWithin(3, 0); })) << Sizes();
  absl::Time begun = absl::Now();

  std::vector<std::thread> threads;
  for (auto& node : nodes_) threads.emplace_back([&node] { node->Stop(); });
  for (std::thread& thread : threads) thread.join();

  // Waiting for a neighbor that does not close takes leave_timeout, an HTTP port nobody knocks at 2
  // s.
  EXPECT_LT(absl::Now() - begun, MembershipOptions().leave_timeout);
}

TEST_F(NodeTest, RefusesADataDirectoryInUseAndAPortThatIsTaken) {
  StartMesh(1);
  EXPECT_EQ(ReasonOf(Node::Start(Options(0)).status()), ErrorReason::kDataDirLocked);

  NodeOptions mesh = Options(1);
  mesh.mesh_listen = nodes_[0]->addresses().mesh;
  EXPECT_EQ(ReasonOf(Node::Start(std::move(mesh)).status()), ErrorReason::kPortTaken);
  NodeOptions api = Options(1);
  api.api_listen = nodes_[0]->addresses().api;
  EXPECT_EQ(ReasonOf(Node::Start(std::move(api)).status()), ErrorReason::kPortTaken);
  NodeOptions wrong = Options(1);
  wrong.mesh_name = "";
  EXPECT_EQ(ReasonOf(Node::Start(std::move(wrong)).status()), ErrorReason::kConfigInvalid);
}

// --- The same code where not everything goes to everyone -----------------------------------------

TEST_F(NodeTest, KeepsItsRecallWithFivePeersAndTheSaturatedCaseOff) {
  core_.search.saturated_factor = 0;
  StartMesh(5);
  ExpectPromiseKept(5);
}

TEST_F(NodeTest, KeepsItsRecallWithTwentyPeersAndTheSaturatedCaseOff) {
  core_.search.saturated_factor = 0;
  StartMesh(20);
  ExpectPromiseKept(20);
  Found found = Search(*nodes_[7], "\"treasure 3\"");
  EXPECT_LT(found.summary.peers_reached, 20u);
  EXPECT_LT(found.summary.recall, 1.0);
}

TEST_F(NodeTest, AsksFewerThanHalfOfSixtyFourPeersAndSaysSo) {
  // Measured less often while the mesh forms: 64 peers share the cores of one machine here.
  core_.measure.change_delay = absl::Seconds(2);
  core_.measure.round_gap = absl::Seconds(5);
  core_.measure.share_interval = absl::Milliseconds(100);
  absl::Time begun = absl::Now();
  StartMesh(64);
  RecordProperty("mesh_s", absl::StrCat(absl::ToDoubleSeconds(absl::Now() - begun)));
  Put(9, "needle", "in a haystack");

  // Until the page is spread a search may miss it.
  ASSERT_TRUE(Eventually([&] { return !Search(*nodes_[33], "needle").hits.empty(); }));
  Found found = Search(*nodes_[33], "needle");

  EXPECT_LT(found.summary.peers_reached, 32u);
  EXPECT_GT(found.summary.peers_reached, 1u);
  EXPECT_GE(found.summary.recall, 0.99);
  EXPECT_LT(found.summary.recall, 1.0);
  EXPECT_TRUE(found.summary.complete);

  Found all = Search(*nodes_[33], "kind:peer", 1.0);
  EXPECT_EQ(all.summary.peers_reached, 64u);
  EXPECT_EQ(all.summary.recall, 1.0);
  EXPECT_TRUE(all.summary.complete);
  EXPECT_EQ(all.hits.size(), 64u);
  RecordProperty("all_s", absl::StrCat(absl::ToDoubleSeconds(absl::Now() - begun)));
}

}  // namespace
}  // namespace panal
