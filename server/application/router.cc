#include "server/application/router.h"

#include <iterator>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "server/application/splice.h"

namespace panal {
namespace {

constexpr char kReservedPrefix[] = "panal-";
// Services that describe the peer rather than one object of it.
constexpr absl::string_view kPeerWidePrefixes[] = {"grpc.reflection.", "grpc.health."};
constexpr absl::string_view kPeerStreams[] = {
    "/panal.v1.PeerObject/Link", "/panal.v1.PeerObject/Call", "/panal.v1.PeerObject/Join",
    "/panal.v1.PeerObject/Tunnel", "/panal.v1.FileObject/Blocks"};

bool IsPeerWide(absl::string_view service) {
  for (absl::string_view prefix : kPeerWidePrefixes) {
    if (absl::StartsWith(service, prefix)) return true;
  }
  return false;
}

absl::Status MethodNotFound(absl::string_view method, absl::string_view why) {
  return Error(ErrorReason::kMethodNotFound, absl::StrCat(method, ": ", why),
               {{"method", std::string(method)}});
}

struct MethodName {
  absl::string_view service;
  absl::string_view method;
};

absl::StatusOr<MethodName> ParseMethod(absl::string_view path) {
  for (absl::string_view stream : kPeerStreams) {
    if (path == stream) return MethodNotFound(path, "a stream between peers, not for programs");
  }
  const size_t slash = path.rfind('/');
  if (path.empty() || path[0] != '/' || slash == 0 || slash + 1 == path.size()) {
    return MethodNotFound(path, "not of the form /package.Service/Method");
  }
  return MethodName{path.substr(1, slash - 1), path.substr(slash + 1)};
}

// The reference that `head` names; empty where it names none.
absl::StatusOr<std::string> ReferenceOf(const CallHead& head) {
  if (head.origin == CallOrigin::kMesh) return head.reference;
  if (head.metadata.count(kFindKey) > 0) {
    return MethodNotFound(kFindKey,
                          "finding an object by a query is not supported yet; search for "
                          "it and name its reference in panal-object");
  }
  auto [begin, end] = head.metadata.equal_range(kObjectKey);
  if (begin == end) return std::string();
  if (std::next(begin) != end) {
    return Error(ErrorReason::kReferenceInvalid,
                 absl::StrCat(kObjectKey, " is given ", std::distance(begin, end), " times"));
  }
  return begin->second;
}

// As ObjectRef::Parse; a reference that stops after the peer id (`panal://<peer-id>`) has an empty
// service: whichever the method belongs to.
absl::StatusOr<ObjectRef> ParseReference(absl::string_view text) {
  absl::string_view peer = text;
  while (absl::ConsumeSuffix(&peer, "/")) {
  }
  if (absl::ConsumePrefix(&peer, "panal://")) {
    if (const std::optional<PeerId> id = PeerId::FromText(peer)) return ObjectRef{.peer = *id};
  }
  return ObjectRef::Parse(text);
}

CallHead HeadForPeer(const CallHead& head) {
  CallHead forwarded = head;
  for (auto it = forwarded.metadata.begin(); it != forwarded.metadata.end();) {
    it =
        absl::StartsWith(it->first, kReservedPrefix) ? forwarded.metadata.erase(it) : std::next(it);
  }
  return forwarded;
}

}  // namespace

Router::Router(PeerId self, PeerCalls* calls) : self_(self) {
  auto routes = std::make_shared<Routes>();
  routes->calls = calls;
  routes_ = std::move(routes);
}

std::shared_ptr<const Router::Routes> Router::routes() const {
  MutexLock lock(&mutex_);
  return routes_;
}

void Router::Route(const CallPtr& call) const {
  absl::StatusOr<std::string> reference = ReferenceOf(call->head());
  const absl::Status routed = reference.ok() ? RouteTo(call, *reference) : reference.status();
  if (!routed.ok()) call->Finish(ResultOf(routed));
}

absl::Status Router::RouteTo(const CallPtr& call, absl::string_view reference) const {
  const CallHead& head = call->head();
  PANAL_ASSIGN_OR_RETURN(MethodName name, ParseMethod(head.method));
  if (reference.empty()) return ServeHere(call, name.service, name.method, "");
  PANAL_ASSIGN_OR_RETURN(ObjectRef object, ParseReference(reference));
  if (object.service.empty()) object.service = std::string(name.service);
  const bool peer_wide = IsPeerWide(name.service);
  if (!peer_wide && object.service != name.service) {
    return Error(
        ErrorReason::kReferenceInvalid,
        absl::StrCat("reference names ", object.service, ", method belongs to ", name.service),
        {{"reference", std::string(reference)}, {"service", std::string(name.service)}});
  }
  if (object.peer == self_) {
    return ServeHere(call, name.service, name.method, peer_wide ? "" : object.key);
  }
  if (head.origin == CallOrigin::kMesh) {
    return Error(ErrorReason::kObjectNotFound, "the reference names another peer than this one",
                 {{"reference", std::string(reference)}});
  }
  PeerCalls* calls = routes()->calls;
  if (calls == nullptr) {
    return Error(ErrorReason::kPeerUnreachable, "this peer reaches no other peers",
                 {{"peer", object.peer.ToText()}});
  }
  Splice(call, calls->Open(object.peer, object.ToText(), HeadForPeer(head)));
  return absl::OkStatus();
}

absl::Status Router::ServeHere(const CallPtr& call, absl::string_view service,
                               absl::string_view method, absl::string_view key) const {
  const std::shared_ptr<const Routes> snapshot = routes();
  const auto& servants = snapshot->servants;
  auto found = servants.find(std::make_pair(std::string(service), std::string(key)));
  if (found != servants.end()) {
    if (found->second->Serve(method, call)) return absl::OkStatus();
    return MethodNotFound(call->head().method, "the object has no such method");
  }
  const std::string reference = ObjectRef{self_, std::string(service), std::string(key)}.ToText();
  // gRPC's own answer to a service that a server does not have is UNIMPLEMENTED, which tools rely
  // on.
  auto of_service = servants.lower_bound(std::make_pair(std::string(service), std::string()));
  if (of_service == servants.end() || of_service->first.first != service) {
    return MethodNotFound(call->head().method, "the peer has no such object");
  }
  return Error(ErrorReason::kObjectNotFound, absl::StrCat("no object ", reference),
               {{"reference", reference}});
}

absl::Status Router::Add(ServantPtr servant, absl::string_view key) {
  MutexLock lock(&mutex_);
  auto routes = std::make_shared<Routes>(*routes_);
  if (routes->servants.size() >= kObjectsMax) {
    return OverloadedError(absl::StrCat("the peer has ", kObjectsMax, " objects already"),
                           absl::Seconds(1));
  }
  const std::string service = servant->service();
  if (!routes->servants.emplace(std::make_pair(service, std::string(key)), std::move(servant))
           .second) {
    return Error(ErrorReason::kArgumentInvalid,
                 absl::StrCat("there is an object ", service, "/", key, " already"));
  }
  routes_ = std::move(routes);
  return absl::OkStatus();
}

void Router::Replace(ServantPtr servant) {
  MutexLock lock(&mutex_);
  auto routes = std::make_shared<Routes>(*routes_);
  const std::string service = servant->service();
  routes->servants[std::make_pair(service, std::string())] = std::move(servant);
  routes_ = std::move(routes);
}

void Router::SetPeerCalls(PeerCalls* calls) {
  MutexLock lock(&mutex_);
  auto routes = std::make_shared<Routes>(*routes_);
  routes->calls = calls;
  routes_ = std::move(routes);
}

std::vector<ObjectRef> Router::Objects() const {
  std::vector<ObjectRef> objects;
  for (const auto& [key, servant] : routes()->servants) {
    objects.push_back(ObjectRef{self_, key.first, key.second});
  }
  return objects;
}

std::vector<std::string> Router::Services() const {
  std::vector<std::string> services;
  for (const auto& [key, servant] : routes()->servants) {
    if (services.empty() || services.back() != key.first) services.push_back(key.first);
  }
  return services;
}

}  // namespace panal
