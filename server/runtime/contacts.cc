#include "server/runtime/contacts.h"

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

}  // namespace

Contacts::Contacts(PeerContact self, CoreDriver& driver, Catalog& catalog, Dispatcher& dispatcher)
    : driver_(driver), catalog_(catalog), dispatcher_(dispatcher), self_(std::move(self)) {}

void Contacts::SetSelf(const PeerContact& self) {
  MutexLock lock(&mutex_);
  self_ = self;
}

void Contacts::Learn(const PeerContact& contact) {
  if (contact.addresses.empty()) return;
  MutexLock lock(&mutex_);
  if (contact.id == self_.id) return;
  auto it = entries_.find(contact.id);
  if (it != entries_.end()) {
    it->second.contact = contact;
    ages_.splice(ages_.begin(), ages_, it->second.age);
    return;
  }
  ages_.push_front(contact.id);
  entries_[contact.id] = Entry{contact, ages_.begin()};
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
  SearchHandlers handlers;
  handlers.on_hits = [this, state](std::vector<Hit> hits) {
    for (const Hit& hit : hits) {
      if (hit.record.kind != RecordKind::kPeer) continue;
      PeerContact contact{PeerId{hit.record.id.bytes}, hit.record.addresses};
      if (contact.id != hit.publisher.id) continue;  // Only a peer itself says where it is.
      Learn(contact);
      (*state)[contact.id] = contact;
    }
  };
  handlers.on_done = [prefix, state, done = std::move(done)](const SearchSummary&) {
    done(TheOne(prefix, *state));
  };
  driver_.StartSearch(absl::StrCat("kind:peer id:", prefix), 0.99, kCandidatesMax, kResolveTimeout,
                      std::move(handlers));
}

}  // namespace panal
