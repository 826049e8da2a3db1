#include "server/runtime/contacts.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/id_prefix.h"
#include "common/base/status.h"

namespace panal {
namespace {

// Peers of one prefix looked at; two are enough to call it ambiguous.
constexpr int kCandidatesMax = 8;

absl::Status Unknown(const std::string& prefix) {
  return Error(ErrorReason::kPeerUnknown,
               absl::StrCat("no peer whose id begins with ", prefix, " is known in this mesh"),
               {{"prefix", prefix}});
}

absl::Status Overloaded() {
  return OverloadedError("this peer has too many searches under way", absl::Seconds(1));
}

}  // namespace

Contacts::Contacts(PeerContact self, CoreDriver& driver, Catalog& catalog, Dispatcher& dispatcher)
    : driver_(driver), catalog_(catalog), dispatcher_(dispatcher), self_(std::move(self)) {}

void Contacts::SetSelf(const PeerContact& self) {
  MutexLock lock(&mutex_);
  self_ = self;
}

void Contacts::Learn(const PeerContact& contact, uint64_t version) {
  if (contact.addresses.empty()) return;
  MutexLock lock(&mutex_);
  if (contact.id == self_.id) return;
  auto it = entries_.find(contact.id);
  if (it != entries_.end()) {
    const bool stale = version > 0 && version <= it->second.version;
    if (!stale) it->second.contact = contact;
    it->second.version = std::max(it->second.version, version);
    ages_.splice(ages_.begin(), ages_, it->second.age);
    return;
  }
  ages_.push_front(contact.id);
  entries_[contact.id] = Entry{contact, version, ages_.begin()};
  if (entries_.size() <= kContactsMax) return;
  entries_.erase(ages_.back());
  ages_.pop_back();
}

Contacts::Found Contacts::Known(absl::string_view prefix) const {
  MutexLock lock(&mutex_);
  Found found;
  if (absl::StartsWith(self_.id.ToText(), prefix)) found[self_.id] = self_;
  if (std::optional<PeerId> whole = PeerId::FromText(prefix)) {
    auto it = entries_.find(*whole);
    if (it != entries_.end()) found[*whole] = it->second.contact;
    return found;
  }
  for (const auto& [id, entry] : entries_) {
    if (absl::StartsWith(id.ToText(), prefix)) found[id] = entry.contact;
  }
  return found;
}

absl::StatusOr<PeerContact> Contacts::TheOne(const std::string& prefix, const Found& found) {
  if (found.empty()) return Unknown(prefix);
  if (found.size() == 1) return found.begin()->second;
  std::string ids;
  for (const auto& [id, contact] : found)
    absl::StrAppend(&ids, ids.empty() ? "" : ", ", id.ToText());
  return Error(ErrorReason::kPeerAmbiguous,
               absl::StrCat("prefix ", prefix, " fits ", found.size(), " peers: ", ids,
                            "; give more characters"),
               {{"prefix", prefix}, {"candidates", ids}});
}

void Contacts::Find(const PeerId& peer, Done done) { Resolve(peer.ToText(), std::move(done)); }

void Contacts::Resolve(const std::string& prefix, Done done) {
  if (auto parsed = ParseIdPrefix(prefix, IdKind::kPeer); !parsed.ok()) {
    done(parsed.status());
    return;
  }
  Found found = Known(prefix);
  if (prefix.size() == PeerId::kTextSize && !found.empty()) {
    done(TheOne(prefix, found));
    return;
  }
  SearchCatalog(prefix, std::move(found), std::move(done));
}

void Contacts::SearchCatalog(const std::string& prefix, Found found, Done done) {
  auto shared_done = std::make_shared<Done>(std::move(done));
  auto task = [this, prefix, found = std::move(found), shared_done]() mutable {
    auto more = catalog_.FindPeers(prefix, kCandidatesMax);
    if (more.ok()) {
      for (PeerContact& contact : *more) found.emplace(contact.id, std::move(contact));
    }
    bool enough = !found.empty() && (prefix.size() == PeerId::kTextSize || found.size() > 1);
    if (enough) {
      (*shared_done)(TheOne(prefix, found));
      return;
    }
    SearchMesh(prefix, std::move(found), std::move(*shared_done));
  };
  absl::Status queued = dispatcher_.Submit(WorkClass::kControl, "self", std::move(task));
  if (!queued.ok()) (*shared_done)(queued);
}

void Contacts::SearchMesh(const std::string& prefix, Found found, Done done) {
  auto state = std::make_shared<Found>(std::move(found));
  auto shared_done = std::make_shared<Done>(std::move(done));
  SearchHandlers handlers;
  handlers.on_hits = [this, state](std::vector<Hit> hits) {
    for (const Hit& hit : hits) {
      if (hit.record.kind != RecordKind::kPeer) continue;
      PeerContact contact{PeerId{hit.record.id.bytes}, hit.record.addresses};
      if (contact.id != hit.publisher.id) continue;  // Only a peer itself says where it is.
      Learn(contact, hit.record.version);
      (*state)[contact.id] = Newest(contact);
    }
  };
  handlers.on_done = [prefix, state, shared_done](const SearchSummary& summary) {
    const bool unasked = state->empty() && summary.cut_short == CutShort::kOverloaded;
    (*shared_done)(unasked ? Overloaded() : TheOne(prefix, *state));
  };
  uint64_t search = driver_.StartSearch(absl::StrCat("kind:peer id:", prefix), 0.99, kCandidatesMax,
                                        /*enough=*/0, kResolveTimeout, std::move(handlers));
  if (search == 0) (*shared_done)(Overloaded());
}

PeerContact Contacts::Newest(const PeerContact& contact) const {
  MutexLock lock(&mutex_);
  auto it = entries_.find(contact.id);
  return it == entries_.end() ? contact : it->second.contact;
}

}  // namespace panal
