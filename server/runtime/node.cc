#include "server/runtime/node.h"

#include <sys/statvfs.h>

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/base/heap.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/units.h"
#include "common/identity/credential.h"
#include "common/identity/identity.h"
#include "common/identity/membership.h"
#include "common/identity/ticket.h"
#include "common/rpc/mesh_admission.h"
#include "server/application/file_servant.h"
#include "server/application/health_servant.h"
#include "server/application/peer_servant.h"
#include "server/application/reflection_servant.h"
#include "server/application/router.h"
#include "server/application/search_servant.h"
#include "server/application/waiting_servant.h"
#include "server/data/file_store/file_store.h"
#include "server/runtime/contacts.h"
#include "server/runtime/core_driver.h"
#include "server/runtime/data_dir.h"
#include "server/runtime/deadline_timer.h"
#include "server/runtime/diagnosis.h"
#include "server/runtime/fact_keeper.h"
#include "server/runtime/fetcher.h"
#include "server/runtime/inviter.h"
#include "server/runtime/joiner.h"
#include "server/runtime/listeners.h"
#include "server/runtime/member_list.h"
#include "server/runtime/mesh_port.h"
#include "server/runtime/metrics.h"
#include "server/runtime/node_loop.h"
#include "server/runtime/page_signer.h"
#include "server/runtime/renewal.h"
#include "server/runtime/revoker.h"
#include "server/runtime/ticket_contacts.h"
#include "server/runtime/ticket_holder.h"

namespace panal {
namespace {

// Peers of earlier runs that are tried at start. Guess: the passive view (48) and some that are
// gone; the catalog keeps more of them.
constexpr int kKnownPeersAtStart = 64;
// Period in which pages that expired are dropped, and memory is given back. Guess: far below a page's lifetime.
constexpr absl::Duration kExpiryInterval = absl::Minutes(1);
// Longest time that leaving the mesh may take when a peer stops.
constexpr absl::Duration kLeaveTimeout = absl::Seconds(2);

// How often streams are gone through for credentials that have expired, and the own one is looked at.
constexpr absl::Duration kAdmissionInterval = absl::Seconds(1);
// First and longest wait before the ticket of --ticket-file is tried again. Guess: as for joining.
constexpr absl::Duration kTicketRetryMin = absl::Seconds(1);
constexpr absl::Duration kTicketRetryMax = absl::Seconds(30);

// Under which the catalog remembers the mesh that own pages are signed for.
constexpr absl::string_view kMeshKey = "mesh";

class NodeImpl;

// The way back to a node from what may outlive it. Shared by the node and what is under way.
class NodeGate {
 public:
  explicit NodeGate(NodeImpl& node) : node_(&node) {}

  // Runs `task` unless the node is stopping; whether it ran. `task` must not block.
  bool Run(const std::function<void(NodeImpl&)>& task) {
    MutexLock lock(&mutex_);
    if (node_ != nullptr) task(*node_);
    return node_ != nullptr;
  }

  void Close() {
    MutexLock lock(&mutex_);
    node_ = nullptr;
  }

 private:
  Mutex mutex_;
  NodeImpl* node_ ABSL_GUARDED_BY(mutex_);
};

class NodeImpl final : public Node, public Mesh, public Admission {
 public:
  explicit NodeImpl(NodeOptions options)
      : options_(std::move(options)),
        metrics_(std::string(kVersion)),
        dispatcher_(Dispatcher::Create(WithMetrics(options_.dispatcher))) {}

  ~NodeImpl() override { Stop(); }

  absl::Status Open() {
    PANAL_ASSIGN_OR_RETURN(api_gate_, MakeApiGate(options_));
    PANAL_RETURN_IF_ERROR(OpenIdentity());
    PANAL_ASSIGN_OR_RETURN(const bool member, FindMesh());
    PANAL_RETURN_IF_ERROR(member ? OpenInMesh() : OpenWaiting());
    PANAL_RETURN_IF_ERROR(OpenListeners());
    return member ? Begin() : JoinWithTicketFile();
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

  // --- Admission ---
  absl::StatusOr<Ticket> CreateTicket(Role role, uint32_t uses, absl::Duration lifetime) override;
  absl::StatusOr<std::string> Renew(absl::string_view credential, const PeerId& peer) override;
  void JoinMesh(absl::string_view ticket, std::function<void(absl::Status)> done) override;
  std::vector<KnownMember> Members() override;
  void Revoke(const RevocationOrder& order,
              std::function<void(absl::StatusOr<RevocationResult>)> done) override;
  void MoveTo(absl::string_view public_key,
              std::function<void(absl::StatusOr<RevocationResult>)> done) override;

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

  // In the order in which they are called. What needs a mesh is opened once there is one: at the
  // start, or when a ticket was redeemed.
  absl::Status OpenIdentity();
  absl::StatusOr<bool> FindMesh();  // Whether this peer is in it.
  absl::Status OpenWaiting();
  absl::Status OpenInMesh();
  absl::Status OpenData();
  absl::Status OpenMesh();
  absl::Status OpenFacts();
  absl::Status OpenObjects();
  absl::Status OpenListeners();
  absl::Status Begin();

  absl::Status JoinWithTicketFile();
  void TryTicket(const std::string& ticket, absl::Duration retry);
  absl::Status CheckTicketFits(const Ticket& ticket) const;
  absl::Status CheckMeshName(absl::string_view name) const;
  void LetIn(absl::StatusOr<MeshMembership> membership, std::function<void(absl::Status)> done);
  absl::Status Enter(const MeshMembership& membership);
  absl::Status Keep(const MeshMembership& membership);
  JoinHandler MakeJoinHandler();
  std::vector<JoinAddress> JoinAddresses() const;
  void WatchAdmission();
  void Renewed(const std::string& credential);
  void FactsChanged(std::shared_ptr<const Revocations> revocations);
  CredentialPtr own_credential() const;

  bool is_open() const { return options_.policy == "open"; }

  absl::Status SignAnewInAnotherMesh();
  absl::Status Publish();
  std::unique_ptr<Fetcher> MakeFetcher();
  std::shared_ptr<Renewal> MakeRenewal();

  PeerContact Self() const { return {identity_->peer_id(), self_addresses_}; }

  void DropExpired();
  void RememberNeighbors();
  std::string MetricsText();
  std::string HealthText(bool detailed, bool* healthy);

  const NodeOptions options_;
  const absl::Time started_ = absl::Now();
  NodeAddresses addresses_;
  std::vector<std::string> self_addresses_;

  // In the order in which they are opened; each refers to those above it only.
  Metrics metrics_;
  std::unique_ptr<ApiGate> api_gate_;
  std::unique_ptr<DataDir> data_dir_;
  std::optional<Identity> identity_;
  std::shared_ptr<NodeGate> gate_;  // Shared with what may outlive the node.
  std::unique_ptr<Router> router_;
  std::shared_ptr<HealthServant> health_;    // Shared with the router.
  std::shared_ptr<WaitingServant> waiting_;  // The same; null in a peer that never waited.
  mutable Mutex member_mutex_;
  MeshMembership membership_ ABSL_GUARDED_BY(member_mutex_);     // Of an invite mesh.
  CredentialPtr own_credential_ ABSL_GUARDED_BY(member_mutex_);  // Null: it waits to be let in.
  // From here on: null, and not to be touched, until `entered_`.
  std::unique_ptr<MeshAdmission> admission_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<BlockStore> blocks_;
  std::unique_ptr<FileStore> files_;
  std::unique_ptr<PageSigner> signer_;
  NodeLoop loop_;
  const std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<CoreDriver> driver_;
  std::unique_ptr<FactKeeper> facts_;  // This and the revoker: null in an open mesh.
  std::unique_ptr<Revoker> revoker_;
  std::unique_ptr<Contacts> contacts_;
  std::unique_ptr<Inviter> inviter_;
  std::unique_ptr<MeshPort> mesh_port_;
  std::shared_ptr<Renewal> renewal_;  // Shared with what it asks.
  std::unique_ptr<Fetcher> fetcher_;
  Listeners listeners_;
  std::unique_ptr<Joiner> joiner_;
  std::unique_ptr<DeadlineTimer> retry_;  // Of the ticket file.
  std::atomic<bool> joining_{false};      // A ticket is being redeemed.
  Mutex entering_;                        // Held while the mesh is being entered.
  std::atomic<bool> entered_{false};
  std::atomic<bool> stopped_{false};
};

absl::Status NodeImpl::OpenIdentity() {
  PANAL_ASSIGN_OR_RETURN(data_dir_, DataDir::Open(options_.data_dir));
  PANAL_ASSIGN_OR_RETURN(identity_, Identity::LoadOrCreate(data_dir_->path()));
  gate_ = std::make_shared<NodeGate>(*this);
  router_ = std::make_unique<Router>(identity_->peer_id(), nullptr);
  health_ = std::make_shared<HealthServant>(*dispatcher_, *router_);
  return router_->Add(health_);
}

absl::Status NodeImpl::OpenData() {
  PANAL_ASSIGN_OR_RETURN(catalog_, Catalog::Open({.path = data_dir_->CatalogPath()}));
  PANAL_ASSIGN_OR_RETURN(blocks_, BlockStore::Open({.dir = data_dir_->BlocksPath(),
                                                    .size_bytes_max = options_.storage_max_bytes},
                                                   RealFileSystem()));
  files_ = FileStore::Create(*catalog_, *blocks_);
  PANAL_ASSIGN_OR_RETURN(int64_t adopted, files_->AdoptContents());
  if (adopted > 0) {
    Log(LogLevel::kWarning, "contents_adopted", {{"contents", absl::StrCat(adopted)}});
  }
  signer_ = std::make_unique<PageSigner>(*identity_, admission_->mesh(), *catalog_);
  return absl::OkStatus();
}

absl::Status NodeImpl::OpenMesh() {
  const PeerId& self = identity_->peer_id();
  CoreOptions core = options_.core;
  core.admission.facts = !is_open();
  driver_ = std::make_unique<CoreDriver>(self, core, RandomSeedFromSystem(), loop_, *dispatcher_,
                                         *catalog_, *signer_, metrics_);
  PANAL_RETURN_IF_ERROR(OpenFacts());
  contacts_ = std::make_unique<Contacts>(PeerContact{self, {}}, *driver_, *catalog_, *dispatcher_);
  driver_->SetContactSink(
      [this](const PeerContact& contact, uint64_t version) { contacts_->Learn(contact, version); });
  inviter_ = std::make_unique<Inviter>(*identity_, *admission_, *catalog_,
                                       [this](const FactPtr& fact) { revoker_->Say(fact); });
  Hello hello{.capacity = options_.core.capacity, .version = std::string(kVersion)};
  if (options_.core.search.digests) hello.features.emplace_back(kDigestFeature);
  absl::StatusOr<std::unique_ptr<MeshPort>> mesh_port = MeshPort::Open(
      {.listen = options_.mesh_listen, .join = MakeJoinHandler()}, *identity_, *admission_, hello,
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
  renewal_ = MakeRenewal();
  joiner_ = std::make_unique<Joiner>(
      self, JoinAddresses(), loop_, mesh_port_->links(),
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

std::shared_ptr<Renewal> NodeImpl::MakeRenewal() {
  RenewalHost host;
  host.self = identity_->peer_id();
  host.neighbors = [this] {
    std::vector<PeerId> peers;
    for (const NeighborInfo& neighbor : driver_->Neighbors()) peers.push_back(neighbor.contact.id);
    return peers;
  };
  host.renewed = [this](const std::string& credential) { Renewed(credential); };
  return Renewal::Create(std::move(host), *admission_, mesh_port_->calls());
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
  router_->Replace(
      std::make_shared<PeerServant>(*dispatcher_, *router_, *this, *this, *catalog_, *blocks_));
  PANAL_RETURN_IF_ERROR(router_->Add(std::make_shared<FileServant>(
      *dispatcher_, *files_, *catalog_, *this, ResolveRoots(options_.roots))));
  PANAL_RETURN_IF_ERROR(router_->Add(std::make_shared<SearchServant>(*dispatcher_, *this)));
  for (auto& servant : MakeReflectionServants(*dispatcher_, *router_)) {
    PANAL_RETURN_IF_ERROR(router_->Add(servant));
  }
  return absl::OkStatus();
}

absl::Status NodeImpl::OpenListeners() {
  HttpHandlers http;
  http.metrics = [this] { return MetricsText(); };
  http.health = [this](bool detailed, bool* healthy) { return HealthText(detailed, healthy); };
  const auto route = [this](const CallPtr& call) {
    if (entered_ || IsForWaiting(call->head().method)) return router_->Route(call);
    call->Finish(ResultOf(
        Error(ErrorReason::kNotLetIn, "this peer waits to be let into a mesh: panal join TICKET")));
  };
  PANAL_ASSIGN_OR_RETURN(listeners_,
                         panal::OpenListeners(options_, *api_gate_, route, std::move(http)));
  addresses_ = {identity_->peer_id(), listeners_.api->address(),
                mesh_port_ != nullptr ? mesh_port_->address() : "",
                listeners_.http != nullptr ? listeners_.http->address() : ""};
  return absl::OkStatus();
}

// Pages that were signed for another mesh would be refused by everyone in this one.
absl::Status NodeImpl::SignAnewInAnotherMesh() {
  PANAL_ASSIGN_OR_RETURN(std::optional<std::string> signed_for, catalog_->GetValue(kMeshKey));
  if (signed_for == admission_->mesh().ToText()) return absl::OkStatus();
  if (signed_for) PANAL_RETURN_IF_ERROR(catalog_->MarkAllPagesDirty());
  return catalog_->SetValue(kMeshKey, admission_->mesh().ToText());
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

absl::Status NodeImpl::Begin() {
  PANAL_RETURN_IF_ERROR(Publish());
  joiner_->Start();
  health_->SetServing(true);
  if (!is_open()) WatchAdmission();
  return absl::OkStatus();
}

// --- The way into the mesh -----------------------------------------------------------------------

absl::StatusOr<bool> NodeImpl::FindMesh() {
  PANAL_ASSIGN_OR_RETURN(std::optional<MeshMembership> kept, LoadMembership(data_dir_->path()));
  if (is_open()) {
    if (kept) {
      return Error(
          ErrorReason::kConfigInvalid,
          absl::StrCat("data directory ", data_dir_->path(), " belongs to the invite mesh ",
                       kept->mesh_name, "; start it without --policy open"));
    }
    admission_ = std::make_unique<MeshAdmission>(*identity_, OpenMeshId(options_.mesh_name));
  } else if (kept) {
    PANAL_RETURN_IF_ERROR(CheckMeshName(kept->mesh_name));
    admission_ =
        std::make_unique<MeshAdmission>(AdmissionRules{.policy = MeshPolicy::kInvite,
                                                       .mesh = kept->mesh_id(),
                                                       .credential = EncodeChain(kept->chain)});
  } else {
    return false;
  }
  const absl::StatusOr<CredentialPtr> own =
      admission_->Check(admission_->credential(), identity_->peer_id());
  if (ReasonOf(own.status()) == ErrorReason::kCredentialExpired) {
    Log(LogLevel::kWarning, "credential_expired", {{"why", std::string(own.status().message())}});
    return false;
  }
  if (!own.ok()) return Annotate(own.status(), data_dir_->path());
  MutexLock lock(&member_mutex_);
  if (kept) membership_ = *std::move(kept);
  own_credential_ = *own;
  return true;
}

absl::Status NodeImpl::CheckMeshName(absl::string_view name) const {
  if (options_.mesh_name == kMeshNameDefault || options_.mesh_name == name) return absl::OkStatus();
  return Error(ErrorReason::kConfigInvalid,
               absl::StrCat("--mesh ", options_.mesh_name, ": the mesh is called ", name),
               {{"setting", "--mesh"}, {"value", options_.mesh_name}});
}

absl::Status NodeImpl::OpenWaiting() {
  waiting_ = std::make_shared<WaitingServant>(*dispatcher_, *this, *this);
  Log(LogLevel::kInfo, "waiting_to_be_let_in", {{"peer", identity_->peer_id().ToText()}});
  return router_->Add(waiting_);
}

absl::Status NodeImpl::OpenInMesh() {
  PANAL_RETURN_IF_ERROR(OpenData());
  PANAL_RETURN_IF_ERROR(OpenMesh());
  PANAL_RETURN_IF_ERROR(OpenObjects());
  entered_ = true;
  return absl::OkStatus();
}

absl::Status NodeImpl::JoinWithTicketFile() {
  if (options_.ticket_file.empty()) return absl::OkStatus();
  PANAL_ASSIGN_OR_RETURN(const std::string text, ReadTicketFile(options_.ticket_file));
  PANAL_ASSIGN_OR_RETURN(const Ticket ticket, ParseTicket(text));
  PANAL_RETURN_IF_ERROR(CheckTicketFits(ticket));
  retry_ = std::make_unique<DeadlineTimer>();
  TryTicket(text, kTicketRetryMin);
  return absl::OkStatus();
}

void NodeImpl::TryTicket(const std::string& ticket, absl::Duration retry) {
  JoinMesh(ticket, [gate = gate_, ticket, retry](const absl::Status& joined) {
    if (joined.ok()) return;
    Log(LogLevel::kWarning, "not_let_in", {{"why", std::string(joined.message())}});
    if (!MayAskAgain(joined)) return;
    gate->Run([&](NodeImpl& node) {
      node.retry_->Set(absl::Now() + retry, [&node, ticket, retry] {
        node.TryTicket(ticket, std::min(retry * 2, kTicketRetryMax));
      });
    });
  });
}

// Whether this peer may join with it. Nobody was asked yet.
absl::Status NodeImpl::CheckTicketFits(const Ticket& ticket) const {
  if (is_open()) {
    return Error(ErrorReason::kNotPermitted,
                 "this peer is in an open mesh; one that joins by ticket is started without "
                 "--policy open");
  }
  PANAL_RETURN_IF_ERROR(CheckMeshName(ticket.mesh_name));
  return CheckTicket(EncodeChain(ticket.chain), InviteMeshId(ticket.chain.root), absl::Now())
      .status();
}

void NodeImpl::JoinMesh(absl::string_view text, std::function<void(absl::Status)> done) {
  const absl::StatusOr<Ticket> ticket = ParseTicket(text);
  if (!ticket.ok()) return done(ticket.status());
  if (entered_ && !is_open()) {
    if (InviteMeshId(ticket->chain.root) == admission_->mesh()) return done(absl::OkStatus());
    return done(Error(ErrorReason::kMeshMismatch,
                      "this peer belongs to another mesh; a data directory is of one mesh"));
  }
  if (absl::Status fits = CheckTicketFits(*ticket); !fits.ok()) return done(fits);
  if (joining_.exchange(true)) {
    return done(OverloadedError("a ticket is being redeemed already", kAskTimeout));
  }
  RedeemTicket(*identity_, *ticket,
               [gate = gate_, done](const absl::StatusOr<MeshMembership>& membership) {
                 const bool told = gate->Run([&](NodeImpl& node) { node.LetIn(membership, done); });
                 if (!told) done(Error(ErrorReason::kShuttingDown, "this peer is stopping"));
               });
}

// On a gRPC thread.
void NodeImpl::LetIn(absl::StatusOr<MeshMembership> membership,
                     std::function<void(absl::Status)> done) {
  absl::Status submitted = membership.status();
  if (submitted.ok()) {
    submitted = dispatcher_->Submit(
        WorkClass::kCalls, "self",
        [this, membership = *std::move(membership), done] { done(Enter(membership)); });
  }
  if (submitted.ok()) return;
  joining_ = false;
  dispatcher_->Submit(WorkClass::kCalls, "self", [done, submitted] { done(submitted); })
      .IgnoreError();
}

// Blocks. What fails after the credential is kept is mended by the next start only.
absl::Status NodeImpl::Enter(const MeshMembership& membership) {
  MutexLock entering(&entering_);
  if (stopped_) return Error(ErrorReason::kShuttingDown, "this peer is stopping");
  if (absl::Status kept = Keep(membership); !kept.ok()) {
    joining_ = false;
    return kept;
  }
  absl::Status opened = OpenInMesh();
  if (opened.ok()) opened = Begin();
  if (opened.ok()) Log(LogLevel::kInfo, "let_in", {{"mesh", membership.mesh_name}});
  return opened.ok() ? opened : Annotate(opened, "let in, but panald must be started again");
}

absl::Status NodeImpl::Keep(const MeshMembership& membership) {
  PANAL_RETURN_IF_ERROR(SaveMembership(data_dir_->path(), membership));
  PANAL_ASSIGN_OR_RETURN(const bool member, FindMesh());
  if (member) return absl::OkStatus();
  return Error(ErrorReason::kCredentialExpired, "the credential has expired already");
}

std::vector<JoinAddress> NodeImpl::JoinAddresses() const {
  std::vector<JoinAddress> addresses = options_.join;
  MutexLock lock(&member_mutex_);
  addresses.insert(addresses.end(), membership_.contacts.begin(), membership_.contacts.end());
  return addresses;
}

JoinHandler NodeImpl::MakeJoinHandler() {
  if (is_open() || own_credential()->role < Role::kInviter) return nullptr;
  return [this](JoinAttempt attempt, std::function<void(absl::StatusOr<std::string>)> done) {
    const absl::Status submitted = dispatcher_->Submit(
        WorkClass::kCalls, "join",
        [this, attempt = std::move(attempt), done] { done(inviter_->LetIn(attempt)); });
    if (!submitted.ok()) done(submitted);
  };
}

absl::StatusOr<Ticket> NodeImpl::CreateTicket(Role role, uint32_t uses, absl::Duration lifetime) {
  if (is_open()) {
    return Error(ErrorReason::kNotPermitted,
                 "an open mesh has no tickets: whoever knows its name may join");
  }
  TicketTerms terms{.role = role, .lifetime = lifetime, .uses = uses};
  terms.contacts = TicketContactsOf(Self(), driver_->Neighbors(), *admission_, role);
  {
    MutexLock lock(&member_mutex_);
    terms.mesh_name = membership_.mesh_name;
  }
  return inviter_->IssueTicket(terms);
}

absl::StatusOr<std::string> NodeImpl::Renew(absl::string_view credential, const PeerId& peer) {
  if (!is_open()) return inviter_->Renew(credential, peer);
  return Error(ErrorReason::kNotPermitted, "credentials of an open mesh do not expire");
}

std::vector<KnownMember> NodeImpl::Members() {
  return ListKnownMembers(*admission_, own_credential());
}

void NodeImpl::Revoke(const RevocationOrder& order,
                      std::function<void(absl::StatusOr<RevocationResult>)> done) {
  if (revoker_ != nullptr) return revoker_->Revoke(order, done);
  done(Error(ErrorReason::kNotPermitted,
             "an open mesh throws nobody out: whoever knows its name may join"));
}

void NodeImpl::MoveTo(absl::string_view public_key,
                      std::function<void(absl::StatusOr<RevocationResult>)> done) {
  if (revoker_ != nullptr) return revoker_->MoveTo(public_key, done);
  done(Error(ErrorReason::kNotPermitted, "an open mesh remembers nothing of its peers"));
}

// On the node loop.
void NodeImpl::FactsChanged(std::shared_ptr<const Revocations> revocations) {
  admission_->SetRevocations(std::move(revocations));
  mesh_port_->Recheck();
  const absl::Status own = admission_->CheckRevocations(own_credential()->chain);
  if (own.ok()) return;
  LogLimited(LogLevel::kError, "revoked", {{"why", std::string(own.message())}});
}

// Before the mesh port opens: nobody who was revoked is let in meanwhile.
absl::Status NodeImpl::OpenFacts() {
  if (is_open()) return absl::OkStatus();
  facts_ = std::make_unique<FactKeeper>(admission_->mesh(), *catalog_);
  PANAL_ASSIGN_OR_RETURN(std::vector<FactPtr> known, facts_->Load());
  admission_->SetRevocations(std::make_shared<const Revocations>(known));
  driver_->SetFacts(facts_.get(), [this](auto changed) { FactsChanged(std::move(changed)); });
  driver_->Post(FactsLoaded{std::move(known)});
  revoker_ = std::make_unique<Revoker>(
      *identity_, *admission_, *facts_,
      [this](FactPtr fact, auto done) { driver_->TellFact(std::move(fact), std::move(done)); });
  return absl::OkStatus();
}

CredentialPtr NodeImpl::own_credential() const {
  MutexLock lock(&member_mutex_);
  return own_credential_;
}

void NodeImpl::WatchAdmission() {
  loop_.PostAfter(kAdmissionInterval, [this] {
    mesh_port_->Recheck();
    renewal_->Tick(*own_credential(), absl::Now());
    WatchAdmission();
  });
}

void NodeImpl::Renewed(const std::string& credential) {
  (void)dispatcher_->Submit(WorkClass::kControl, "self", [this, credential] {
    absl::StatusOr<CredentialPtr> checked = admission_->Check(credential, identity_->peer_id());
    absl::StatusOr<GrantChain> chain = DecodeChain(credential);
    if (!checked.ok() || !chain.ok()) return;
    MeshMembership kept;
    {
      MutexLock lock(&member_mutex_);
      membership_.chain = *std::move(chain);
      own_credential_ = *checked;
      kept = membership_;
    }
    admission_->SetCredential(credential);
    const absl::Status saved = SaveMembership(data_dir_->path(), kept);
    Log(saved.ok() ? LogLevel::kInfo : LogLevel::kError, "credential_renewed",
        {{"until", FormatUtc((*checked)->not_after)}, {"saved", std::string(saved.message())}});
  });
}

// -------------------------------------------------------------------------------------------------

void NodeImpl::DropExpired() {
  loop_.PostAfter(kExpiryInterval, [this] {
    (void)dispatcher_->Submit(WorkClass::kControl, "self", [this] {
      auto dropped = catalog_->DropExpiredPages(absl::Now());
      if (!dropped.ok()) {
        LogLimited(LogLevel::kError, "expiry_failed",
                   {{"why", std::string(dropped.status().message())}});
      }
      GiveBackFreeMemory();
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
  status.public_key = identity_->public_key();
  status.mesh_name = options_.mesh_name;
  status.version = std::string(kVersion);
  status.uptime = absl::Now() - started_;
  status.capacity = options_.core.capacity;
  status.policy = is_open() ? MeshPolicy::kOpen : MeshPolicy::kInvite;
  if (!entered_) return status;
  status.mesh_id = admission_->mesh();
  status.neighbors = static_cast<int>(driver_->Neighbors().size());
  status.mesh_size = static_cast<int64_t>(driver_->Estimate().peers + 0.5);
  status.addresses = self_addresses_;
  status.fetches = fetcher_->active();
  MutexLock lock(&member_mutex_);
  if (!is_open()) status.mesh_name = membership_.mesh_name;
  status.role = own_credential_->role;
  status.credential_expires = own_credential_->not_after;
  return status;
}

std::string NodeImpl::MetricsText() {
  if (!entered_) return metrics_.Text();
  auto published = catalog_->CountPublished();
  if (published.ok()) metrics_.Set(Gauge::kPublishedFiles, static_cast<double>(*published));
  metrics_.Set(Gauge::kStoredBytes, static_cast<double>(blocks_->stored_bytes()));
  metrics_.Set(Gauge::kMailboxWaiting, static_cast<double>(loop_.waiting()));
  metrics_.Set(Gauge::kFetchesActive, fetcher_->active());
  return metrics_.Text();
}

std::string NodeImpl::HealthText(bool detailed, bool* healthy) {
  *healthy = entered_ && !stopped_;
  const char* state = stopped_ ? "stopping" : entered_ ? "serving" : "waiting to be let in";
  if (!detailed) return absl::StrCat("{\"status\":\"", state, "\"}\n");
  PeerStatus status = Status();
  return absl::StrCat("{\"status\":\"", state, "\",\"peer_id\":\"", status.id.ToText(),
                      "\",\"neighbors\":", status.neighbors, "}\n");
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
  if (gate_ != nullptr) gate_->Close();
  retry_.reset();
  MutexLock entering(&entering_);
  if (health_ != nullptr) health_->SetServing(false);
  if (listeners_.api != nullptr) listeners_.api->Shutdown(options_.stop_grace);
  if (renewal_ != nullptr) renewal_->Stop();
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
  listeners_.http.reset();
  dispatcher_->Stop();
  loop_.Stop();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Node>> Node::Start(NodeOptions options) {
  PANAL_RETURN_IF_ERROR(options.Validate());
  auto node = std::make_unique<NodeImpl>(std::move(options));
  PANAL_RETURN_IF_ERROR(node->Open());
  return node;
}

}  // namespace panal
