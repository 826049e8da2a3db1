// The C++ client library: a proxy for the objects of one peer, reached through its API port.
//
//   auto client = panal::Client::Connect({.address = "127.0.0.1:7400"});
//   auto summary = (*client)->Search(request, [](const panal::v1::Hit& hit) { return true; });
//
// Blocking; thread-safe. Every call ends: by its deadline, or when its stream is silent for too
// long. Errors are absl::Status with the code the peer gave and, where it gave one, its reason
// (ReasonNameOf). Stock stubs work as well: `channel()` is an ordinary gRPC channel, and the
// metadata key `panal-object` names an object of another peer.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "panal/v1/file_object.pb.h"
#include "panal/v1/peer_object.pb.h"
#include "panal/v1/search_object.pb.h"

namespace panal {

struct ClientOptions {
  // The peer's API port, HOST:PORT.
  std::string address = "127.0.0.1:7400";
  // Time for one call that is not a stream of bytes.
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
  // Time without any message after which a stream is given up. 0: never.
  std::chrono::milliseconds stream_timeout = std::chrono::minutes(10);
  // What the peer's API asks for, or empty. Sent with every call of the channel, those of stock stubs
  // too; the connection is not encrypted.
  std::string token;
  // Reference of the object to call instead of the peer's own, or empty.
  std::string object;
};

// One part of a file to upload. Called until it returns an empty string; an error ends the upload.
using ByteSource = std::function<absl::StatusOr<std::string>()>;

// A file to upload. `directory_entry`: its name is relative to the directory that ends the upload.
struct UploadItem {
  std::string name;
  int64_t size_bytes = 0;
  bool executable = false;
  bool is_directory = false;
  ByteSource bytes;
};

// A subscription's stream. Not thread-safe, but for Cancel.
class SubscriptionStream {
 public:
  virtual ~SubscriptionStream() = default;
  // Waits for the next message. False: the stream is over, Finish says why.
  virtual bool Next(v1::SubscribeResponse* message) = 0;
  // Ends the stream soon; the subscription goes on for its retention. On any thread.
  virtual void Cancel() = 0;
  // After Next returned false, once.
  virtual absl::Status Finish() = 0;
};

class Client {
 public:
  // Connects, and makes sure that something answers. Errors: PEER_UNREACHABLE, CONFIG_INVALID (no
  // header may have the token).
  static absl::StatusOr<std::unique_ptr<Client>> Connect(ClientOptions options);
  virtual ~Client() = default;

  virtual absl::StatusOr<v1::GetPeerResponse> GetPeer() = 0;
  // Every neighbor, all pages.
  virtual absl::StatusOr<std::vector<v1::Neighbor>> ListNeighbors() = 0;
  virtual absl::StatusOr<v1::ResolvePeerResponse> ResolvePeer(const std::string& prefix) = 0;
  virtual absl::StatusOr<v1::DiagnoseResponse> Diagnose() = 0;

  virtual absl::StatusOr<v1::CreateTicketResponse> CreateTicket(
      const v1::CreateTicketRequest& request) = 0;
  // Answers once the peer is in the mesh. Waits as long as a peer asks its ticket's contacts.
  virtual absl::StatusOr<v1::JoinMeshResponse> JoinMesh(const std::string& ticket) = 0;
  // Every member that the peer knows, all pages.
  virtual absl::StatusOr<std::vector<v1::Member>> ListMembers() = 0;
  virtual absl::StatusOr<v1::RevokeResponse> Revoke(const v1::RevokeRequest& request) = 0;
  // `public_key`: 32 bytes.
  virtual absl::StatusOr<v1::MoveToResponse> MoveTo(const std::string& public_key) = 0;

  virtual absl::StatusOr<v1::PutFileResponse> PutFile(const v1::PutFileRequest& request) = 0;
  virtual absl::StatusOr<v1::AddPathResponse> AddPath(const v1::AddPathRequest& request) = 0;
  // Uploads one file. `attributes` go into its record.
  virtual absl::StatusOr<v1::UploadFileResponse> UploadFile(const UploadItem& item,
                                                            const v1::UploadStart& start) = 0;
  // Uploads a directory: `next` gives item after item, and nothing at the end.
  virtual absl::StatusOr<v1::UploadFileResponse> UploadDirectory(
      const v1::UploadFinishDirectory& finish,
      const std::function<absl::StatusOr<bool>(UploadItem* item)>& next) = 0;
  // One page.
  virtual absl::StatusOr<v1::ListFilesResponse> ListFiles(const v1::ListFilesRequest& request) = 0;
  virtual absl::StatusOr<v1::FileInfo> GetFile(const std::string& id) = 0;
  virtual absl::StatusOr<v1::ListDirectoryResponse> ListDirectory(
      const v1::ListDirectoryRequest& request) = 0;
  // Gives the bytes in order to `sink`; an error of the sink ends the call.
  virtual absl::Status ReadFile(const v1::ReadFileRequest& request,
                                const std::function<absl::Status(const std::string&)>& sink) = 0;
  // Gives every message to `on_progress`; returns the last one.
  virtual absl::StatusOr<v1::FetchFileResponse> FetchFile(
      const v1::FetchFileRequest& request,
      const std::function<void(const v1::FetchFileResponse&)>& on_progress) = 0;
  virtual absl::StatusOr<v1::RemoveFileResponse> RemoveFile(const std::string& id) = 0;

  // Gives every hit to `on_hit` until it returns false; returns the summary.
  virtual absl::StatusOr<v1::SearchSummary> Search(
      const v1::SearchRequest& request, const std::function<bool(const v1::Hit&)>& on_hit) = 0;

  // Begins a subscription, or resumes one. Does not wait.
  virtual std::unique_ptr<SubscriptionStream> Subscribe(const v1::SubscribeRequest& request) = 0;
  virtual absl::Status Unsubscribe(const std::string& subscription) = 0;

  // For stock stubs.
  virtual std::shared_ptr<grpc::Channel> channel() = 0;
};

// Reason that the peer gave (`FILE_NOT_FOUND`), or empty.
std::string ReasonNameOf(const absl::Status& status);

}  // namespace panal
