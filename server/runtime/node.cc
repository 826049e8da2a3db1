#include "server/runtime/node.h"

#include <sys/statvfs.h>

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/units.h"
#include "common/identity/credential.h"
#include "common/identity/identity.h"
#include "server/application/file_servant.h"
#include "server/application/health_servant.h"
#include "server/application/peer_servant.h"
#include "server/application/reflection_servant.h"
#include "server/application/router.h"
#include "server/application/search_servant.h"
#include "server/console/http_port.h"
#include "server/data/file_store/file_store.h"
#include "server/runtime/api_port.h"
#include "server/runtime/contacts.h"
#include "server/runtime/core_driver.h"
#include "server/runtime/data_dir.h"
#include "server/runtime/diagnosis.h"
#include "server/runtime/fetcher.h"
#include "server/runtime/joiner.h"
#include "server/runtime/mesh_port.h"
#include "server/runtime/metrics.h"
#include "server/runtime/node_loop.h"
#include "server/runtime/page_signer.h"

namespace panal {
namespace {

// Peers of earlier runs that are tried at start. Guess: the passive view (48) and some that are
// gone; the catalog keeps more of them.
constexpr int kKnownPeersAtStart = 64;
// Period in which pages that expired are dropped. Guess: far below a page's lifetime.
constexpr absl::Duration kExpiryInterval = absl::Minutes(1);
// Longest time that leaving the mesh may take when a peer stops.
constexpr absl::Duration kLeaveTimeout = absl::Seconds(2);

// Under which the catalog remembers the mesh that own pages are signed for.
constexpr absl::string_view kMeshKey = "mesh";

// Why a port could not be opened, with the setting that says which.
absl::Status NameSetting(const absl::Status& status, absl::string_view setting) {
  const ErrorReason reason = ReasonOf(status);
  if (reason != ErrorReason::kPortTaken && reason != ErrorReason::kConfigInvalid) return status;
  return Error(reason, absl::StrCat(status.message(), "; choose another address with ", setting),
               MetadataOf(status));
}

class NodeImpl final : public Node, public Mesh {
 public:
  explicit NodeImpl(NodeOptions options)
      : options_(std::move(options)),
        metrics_(std::string(kVersion)),
        dispatcher_(Dispatcher::Create(WithMetrics(options_.dispatcher))) {}

  ~NodeImpl() override { Stop(); }

  absl::Status Open() {
    PANAL_RETURN_IF_ERROR(OpenData());
    PANAL_RETURN_IF_ERROR(OpenMesh());
    PANAL_RETURN_IF_ERROR(OpenObjects());
    PANAL_RETURN_IF_ERROR(Publish());
    return Join();
  }

  const NodeAddresses& addresses() const override { return addresses_; }

  Mesh& mesh() override { return *this; }

  void Stop() override;

  // --- Mesh ---
  PeerStatus Status() override;

  std::vector<NeighborInfo> Neighbors() override { return driver_->Neighbors(); }

  uint64_t StartSearch(absl::string_view query, double recall, uint32_t limit, uint32_t enough,
                       absl::Duration timeout, SearchHandlers handlers) override {
    return driver_->StartSearch(query, recall, limit, enough, timeout, std::move(handlers));
  }

  void CancelSearch(uint64_t search) override { driver_->CancelSearch(search); }

  uint64_t StartSubscription(absl::string_view query, double recall, absl::Duration timeout,
                             SubscriptionHandlers handlers) override {
    return driver_->StartSubscription(query, recall, timeout, std::move(handlers));
  }

  void CancelSubscription(uint64_t subscription) override {
    driver_->CancelSubscription(subscription);
  }

  uint64_t StartFetch(FetchRequest request, FetchHandlers handlers) override;

  void CancelFetch(uint64_t fetch) override { fetcher_->Cancel(fetch); }

  void SpreadChanges() override { driver_->SignAndSpreadNow(); }

  void ResolvePeer(std::string prefix,
                   std::function<void(absl::StatusOr<PeerContact>)> done) override {
    contacts_->Resolve(prefix, std::move(done));
  }

  std::vector<Finding> Diagnose() override {
    return DiagnosePeer(Status(), options_, joiner_->Failures(), *catalog_, *blocks_,
                        data_dir_->path());
  }

 private:
  DispatcherOptions WithMetrics(DispatcherOptions options) {
    options.on_queue_time = [this](WorkClass work_class, absl::Duration waited) {
      metrics_.ObserveQueueTime(work_class, waited);
    };
    return options;
  }

  absl::Status OpenData();
  absl::Status OpenMesh();
  absl::Status OpenObjects();
  absl::Status SignAnewInAnotherMesh();
  absl::Status Publish();
  absl::Status Join();
  std::unique_ptr<Fetcher> MakeFetcher();

  PeerContact Self() const { return {identity_->peer_id(), self_addresses_}; }

  void DropExpired();
  void RememberNeighbors();
  std::string MetricsText();
  std::string HealthText(bool* healthy);

  const NodeOptions options_;
  const absl::Time started_ = absl::Now();
  NodeAddresses addresses_;
  std::vector<std::string> self_addresses_;

  // In the order in which they are opened; each refers to those above it only.
  Metrics metrics_;
  std::unique_ptr<DataDir> data_dir_;
  std::optional<Identity> identity_;
  MeshId mesh_id_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<BlockStore> blocks_;
  std::unique_ptr<FileStore> files_;
  std::unique_ptr<PageSigner> signer_;
  NodeLoop loop_;
  const std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<CoreDriver> driver_;
  std::unique_ptr<Contacts> contacts_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<MeshPort> mesh_port_;
  std::unique_ptr<Fetcher> fetcher_;
  std::shared_ptr<HealthServant> health_;  // Shared with the router.
  std::unique_ptr<ApiPort> api_port_;
  std::unique_ptr<HttpPort> http_port_;
  std::unique_ptr<Joiner> joiner_;
  std::atomic<bool> stopped_{false};
};

absl::Status NodeImpl::OpenData() {
  PANAL_ASSIGN_OR_RETURN(data_dir_, DataDir::Open(options_.data_dir));
  PANAL_ASSIGN_OR_RETURN(identity_, Identity::LoadOrCreate(data_dir_->path()));
  mesh_id_ = OpenMeshId(options_.mesh_name);
  PANAL_ASSIGN_OR_RETURN(catalog_, Catalog::Open({.path = data_dir_->CatalogPath()}));
  PANAL_ASSIGN_OR_RETURN(blocks_, BlockStore::Open({.dir = data_dir_->BlocksPath(),
                                                    .size_bytes_max = options_.storage_max_bytes},
                                                   RealFileSystem()));
  files_ = FileStore::Create(*catalog_, *blocks_);
  PANAL_ASSIGN_OR_RETURN(int64_t adopted, files_->AdoptContents());
  if (adopted > 0) {
    Log(LogLevel::kWarning, "contents_adopted", {{"contents", absl::StrCat(adopted)}});
  }
  signer_ = std::make_unique<PageSigner>(*identity_, mesh_id_, *catalog_);
  return absl::OkStatus();
}

absl::Status NodeImpl::OpenMesh() {
  const PeerId& self = identity_->peer_id();
  driver_ = std::make_unique<CoreDriver>(self, options_.core, RandomSeedFromSystem(), loop_,
                                         *dispatcher_, *catalog_, *signer_, metrics_);
  contacts_ = std::make_unique<Contacts>(PeerContact{self, {}}, *driver_, *catalog_, *dispatcher_);
  driver_->SetContactSink(
      [this](const PeerContact& contact, uint64_t version) { contacts_->Learn(contact, version); });
  router_ = std::make_unique<Router>(self, nullptr);
  Hello hello{.capacity = options_.core.capacity, .version = std::string(kVersion)};
  if (options_.core.search.digests) hello.features.emplace_back(kDigestFeature);
  absl::StatusOr<std::unique_ptr<MeshPort>> mesh_port = MeshPort::Open(
      {.listen = options_.mesh_listen, .mesh = mesh_id_}, *identity_, hello,
      driver_->MakeLinkEvents(), [this](CallPtr call) { router_->Route(call); }, *files_,
      *dispatcher_,
      [this](const PeerId& peer, auto done) { contacts_->Find(peer, std::move(done)); });
  if (!mesh_port.ok()) return NameSetting(mesh_port.status(), "--mesh-listen");
  mesh_port_ = std::move(*mesh_port);
  self_addresses_ =
      options_.advertise.empty() ? AddressesOf(mesh_port_->address()) : options_.advertise;
  hello.addresses = self_addresses_;
  mesh_port_->links().SetHello(hello);
  contacts_->SetSelf(Self());
  driver_->SetLinks(&mesh_port_->links());
  router_->SetPeerCalls(&mesh_port_->calls());
  fetcher_ = MakeFetcher();
  joiner_ = std::make_unique<Joiner>(
      self, options_.join, loop_, mesh_port_->links(),
      [this] { return !driver_->Neighbors().empty(); },
      [this](PeerContact contact) {
        contacts_->Learn(contact);
        driver_->Post(PeerLearned{std::move(contact), /*join=*/true});
      });
  PANAL_ASSIGN_OR_RETURN(std::vector<PeerContact> known, catalog_->KnownPeers(kKnownPeersAtStart));
  for (const PeerContact& contact : known) contacts_->Learn(contact);
  driver_->Post(::panal::Start{Self(), std::move(known)});  // Not Node::Start.
  // Not before: a peer that dials at once would be answered over links that are not set yet.
  loop_.Start();
  return absl::OkStatus();
}

std::unique_ptr<Fetcher> NodeImpl::MakeFetcher() {
  FetcherHost host;
  host.self = identity_->peer_id();
  host.post = [this](std::function<void()> task) { loop_.Post(std::move(task)); };
  host.post_after = [this](absl::Duration delay, std::function<void()> task) {
    loop_.PostAfter(delay, std::move(task));
  };
  host.search = [this](const std::string& query, double recall, uint32_t limit,
                       absl::Duration timeout, SearchHandlers handlers) {
    return driver_->StartSearch(query, recall, limit, /*enough=*/0, timeout, std::move(handlers));
  };
  host.cancel_search = [this](uint64_t search) { driver_->CancelSearch(search); };
  host.lookup = [this](const PeerId& peer, auto done) { contacts_->Find(peer, std::move(done)); };
  host.pages_changed = [this] { driver_->SignAndSpread(); };
  host.now = [this] { return loop_.Now(); };
  host.seed = RandomSeedFromSystem();
  return Fetcher::Create({}, *files_, *dispatcher_, mesh_port_->blocks(), std::move(host));
}

absl::Status NodeImpl::OpenObjects() {
  health_ = std::make_shared<HealthServant>(*dispatcher_, *router_);
  PANAL_RETURN_IF_ERROR(router_->Add(
      std::make_shared<PeerServant>(*dispatcher_, *router_, *this, *catalog_, *blocks_)));
  PANAL_RETURN_IF_ERROR(router_->Add(std::make_shared<FileServant>(
      *dispatcher_, *files_, *catalog_, *this, ResolveRoots(options_.roots))));
  PANAL_RETURN_IF_ERROR(router_->Add(std::make_shared<SearchServant>(*dispatcher_, *this)));
  PANAL_RETURN_IF_ERROR(router_->Add(health_));
  for (auto& servant : MakeReflectionServants(*dispatcher_, *router_)) {
    PANAL_RETURN_IF_ERROR(router_->Add(servant));
  }
  absl::StatusOr<std::unique_ptr<ApiPort>> api_port = ApiPort::Open(
      {.listen = options_.api_listen}, [this](CallPtr call) { router_->Route(call); });
  if (!api_port.ok()) return NameSetting(api_port.status(), "--api-listen");
  api_port_ = std::move(*api_port);
  if (options_.http_listen != "off") {
    PANAL_ASSIGN_OR_RETURN(
        http_port_,
        HttpPort::Open(options_.http_listen,
                       {.metrics = [this] { return MetricsText(); },
                        .health = [this](bool* healthy) { return HealthText(healthy); }}));
  }
  addresses_ = {identity_->peer_id(), api_port_->address(), mesh_port_->address(),
                http_port_ != nullptr ? http_port_->address() : ""};
  return absl::OkStatus();
}

// Pages that were signed for another mesh would be refused by everyone in this one.
absl::Status NodeImpl::SignAnewInAnotherMesh() {
  PANAL_ASSIGN_OR_RETURN(std::optional<std::string> signed_for, catalog_->GetValue(kMeshKey));
  if (signed_for == mesh_id_.ToText()) return absl::OkStatus();
  if (signed_for) PANAL_RETURN_IF_ERROR(catalog_->MarkAllPagesDirty());
  return catalog_->SetValue(kMeshKey, mesh_id_.ToText());
}

absl::Status NodeImpl::Publish() {
  Record record{.kind = RecordKind::kPeer,
                .name = identity_->peer_id().ToText(),
                .id = Sha256Digest{identity_->peer_id().bytes},
                .attributes = {{"version", std::string(kVersion)}},
                .addresses = self_addresses_};
  PANAL_RETURN_IF_ERROR(SignAnewInAnotherMesh());
  PANAL_RETURN_IF_ERROR(catalog_->SetPeerRecord(record));
  PANAL_ASSIGN_OR_RETURN(std::vector<PagePtr> pages, signer_->LoadAll(absl::Now()));
  if (!pages.empty()) driver_->Post(OwnPagesSigned{std::move(pages), /*spread_now=*/false});
  driver_->SignAndSpread();
  DropExpired();
  return dispatcher_->Submit(WorkClass::kBulk, "self", [this] {
    auto freed = files_->DropUnreferenced();
    if (freed.ok() && *freed > 0) {
      Log(LogLevel::kInfo, "leftovers_freed", {{"bytes", absl::StrCat(*freed)}});
    }
  });
}

absl::Status NodeImpl::Join() {
  joiner_->Start();
  health_->SetServing(true);
  return absl::OkStatus();
}

void NodeImpl::DropExpired() {
  loop_.PostAfter(kExpiryInterval, [this] {
    (void)dispatcher_->Submit(WorkClass::kControl, "self", [this] {
      auto dropped = catalog_->DropExpiredPages(absl::Now());
      if (!dropped.ok()) {
        LogLimited(LogLevel::kError, "expiry_failed",
                   {{"why", std::string(dropped.status().message())}});
      }
    });
    DropExpired();
  });
}

uint64_t NodeImpl::StartFetch(FetchRequest request, FetchHandlers handlers) {
  metrics_.Count(Counter::kFetches);
  handlers.on_done = [this, done = std::move(handlers.on_done)](const absl::Status& status,
                                                                const FetchProgress& progress) {
    if (!status.ok()) metrics_.Count(Counter::kFetchesFailed);
    done(status, progress);
  };
  return fetcher_->Start(std::move(request), std::move(handlers));
}

PeerStatus NodeImpl::Status() {
  PeerStatus status;
  status.id = identity_->peer_id();
  status.mesh_name = options_.mesh_name;
  status.mesh_id = mesh_id_;
  status.version = std::string(kVersion);
  status.neighbors = static_cast<int>(driver_->Neighbors().size());
  status.mesh_size = static_cast<int64_t>(driver_->Estimate().peers + 0.5);
  status.uptime = absl::Now() - started_;
  status.addresses = self_addresses_;
  status.capacity = options_.core.capacity;
  status.fetches = fetcher_->active();
  return status;
}

std::string NodeImpl::MetricsText() {
  auto published = catalog_->CountPublished();
  if (published.ok()) metrics_.Set(Gauge::kPublishedFiles, static_cast<double>(*published));
  metrics_.Set(Gauge::kStoredBytes, static_cast<double>(blocks_->stored_bytes()));
  metrics_.Set(Gauge::kMailboxWaiting, static_cast<double>(loop_.waiting()));
  metrics_.Set(Gauge::kFetchesActive, fetcher_->active());
  return metrics_.Text();
}

std::string NodeImpl::HealthText(bool* healthy) {
  *healthy = !stopped_.load();
  PeerStatus status = Status();
  return absl::StrCat("{\"status\":\"", *healthy ? "serving" : "stopping", "\",\"peer_id\":\"",
                      status.id.ToText(), "\",\"neighbors\":", status.neighbors, "}\n");
}

// The mesh logic reports peers now and then; a peer that stops soon after its start would need a
// bootstrap address again.
void NodeImpl::RememberNeighbors() {
  std::vector<PeerContact> peers;
  for (NeighborInfo& neighbor : driver_->Neighbors()) peers.push_back(std::move(neighbor.contact));
  if (peers.empty()) return;
  absl::Status kept = catalog_->RememberPeers(peers, absl::Now());
  if (!kept.ok()) {
    Log(LogLevel::kWarning, "peers_not_kept", {{"why", std::string(kept.message())}});
  }
}

void NodeImpl::Stop() {
  if (stopped_.exchange(true)) return;
  if (health_ != nullptr) health_->SetServing(false);
  if (api_port_ != nullptr) api_port_->Shutdown(options_.stop_grace);
  if (fetcher_ != nullptr) {
    absl::Notification ended;
    fetcher_->Shutdown([&ended] { ended.Notify(); });
    ended.WaitForNotification();
  }
  if (mesh_port_ != nullptr) {
    RememberNeighbors();
    // Shared with the callback, which may come after the time is up.
    auto left = std::make_shared<absl::Notification>();
    driver_->LeaveMesh([left] { left->Notify(); });
    left->WaitForNotificationWithTimeout(kLeaveTimeout);
    mesh_port_->Shutdown();
  }
  http_port_.reset();
  dispatcher_->Stop();
  loop_.Stop();
}

// A JSON string: ids and addresses hold nothing that must be escaped.
std::string Quoted(const std::string& text) { return absl::StrCat("\"", text, "\""); }

}  // namespace

std::string NodeAddresses::ReadyLine() const {
  return absl::StrCat("ready {\"peer_id\":", Quoted(peer_id.ToText()), ",\"api\":", Quoted(api),
                      ",\"mesh\":", Quoted(mesh),
                      ",\"http\":", http.empty() ? "null" : Quoted(http), "}");
}

absl::StatusOr<std::unique_ptr<Node>> Node::Start(NodeOptions options) {
  PANAL_RETURN_IF_ERROR(options.Validate());
  auto node = std::make_unique<NodeImpl>(std::move(options));
  PANAL_RETURN_IF_ERROR(node->Open());
  return node;
}

}  // namespace panal
