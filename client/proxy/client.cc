#include "client/proxy/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/base/sync.h"
#include "common/wire/status_codec.h"
#include "panal/v1/file_object.grpc.pb.h"
#include "panal/v1/peer_object.grpc.pb.h"
#include "panal/v1/search_object.grpc.pb.h"

namespace panal {
namespace {

// Bytes of one part of an upload, and the page size of listings: the largest that a peer takes.
constexpr int kPageSize = 1000;

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return DecodeStatusDetails(static_cast<int>(status.error_code()), status.error_message(),
                             status.error_details());
}

// Cancels a call whose stream did not move for too long: gRPC has deadlines for whole calls only.
class StallGuard {
 public:
  // `patience` of 0: never. `context` must outlive the guard.
  StallGuard(grpc::ClientContext& context, std::chrono::milliseconds patience)
      : context_(context), patience_(absl::FromChrono(patience)) {
    if (patience.count() > 0) watcher_ = std::thread([this] { Watch(); });
  }

  ~StallGuard() {
    {
      MutexLock lock(&mutex_);
      ended_ = true;
    }
    changed_.Signal();
    if (watcher_.joinable()) watcher_.join();
  }

  StallGuard(const StallGuard&) = delete;
  StallGuard& operator=(const StallGuard&) = delete;

  void Moved() {
    MutexLock lock(&mutex_);
    deadline_ = absl::Now() + patience_;
  }

  // What the call came to, given its status.
  absl::Status Result(const grpc::Status& status) {
    MutexLock lock(&mutex_);
    if (!stalled_ || status.ok()) return FromGrpc(status);
    return Error(ErrorReason::kDeadlineExceeded,
                 absl::StrCat("nothing came from the peer for ", absl::FormatDuration(patience_)));
  }

 private:
  void Watch() {
    MutexLock lock(&mutex_);
    while (!ended_ && absl::Now() < deadline_) changed_.WaitFor(&mutex_, deadline_ - absl::Now());
    if (ended_) return;
    stalled_ = true;
    context_.TryCancel();
  }

  grpc::ClientContext& context_;
  const absl::Duration patience_;
  Mutex mutex_;
  Condition changed_;
  absl::Time deadline_ ABSL_GUARDED_BY(mutex_) = absl::Now() + patience_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool stalled_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread watcher_;  // Last: it uses the members above.
};

class SubscriptionStreamImpl final : public SubscriptionStream {
 public:
  SubscriptionStreamImpl(v1::SearchObject::Stub& stub, std::unique_ptr<grpc::ClientContext> context,
                         const v1::SubscribeRequest& request, std::chrono::milliseconds patience)
      : context_(std::move(context)),
        guard_(*context_, patience),
        reader_(stub.Subscribe(context_.get(), request)) {}

  // gRPC wants every call finished.
  ~SubscriptionStreamImpl() override {
    if (finished_) return;
    context_->TryCancel();
    (void)reader_->Finish();
  }

  bool Next(v1::SubscribeResponse* message) override {
    bool more = reader_->Read(message);
    guard_.Moved();
    return more;
  }

  void Cancel() override { context_->TryCancel(); }

  absl::Status Finish() override {
    finished_ = true;
    return guard_.Result(reader_->Finish());
  }

 private:
  const std::unique_ptr<grpc::ClientContext> context_;
  StallGuard guard_;
  const std::unique_ptr<grpc::ClientReader<v1::SubscribeResponse>> reader_;
  bool finished_ = false;
};

// Puts the token on every call of a channel.
class TokenInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit TokenInterceptor(const std::string& token) : token_(token) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", absl::StrCat("Bearer ", token_));
    }
    methods->Proceed();
  }

 private:
  const std::string token_;
};

class TokenInterceptorFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenInterceptorFactory(std::string token) : token_(std::move(token)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* info) override {
    return new TokenInterceptor(token_);  // gRPC deletes it with the call.
  }

 private:
  const std::string token_;
};

class ClientImpl final : public Client {
 public:
  ClientImpl(ClientOptions options, std::shared_ptr<grpc::Channel> channel)
      : options_(std::move(options)),
        channel_(std::move(channel)),
        peer_(v1::PeerObject::NewStub(channel_)),
        file_(v1::FileObject::NewStub(channel_)),
        search_(v1::SearchObject::NewStub(channel_)) {}

  absl::StatusOr<v1::GetPeerResponse> GetPeer() override {
    return Unary<v1::GetPeerResponse>(*peer_, &v1::PeerObject::Stub::GetPeer, v1::GetPeerRequest());
  }

  absl::StatusOr<std::vector<v1::Neighbor>> ListNeighbors() override {
    std::vector<v1::Neighbor> all;
    v1::ListNeighborsRequest request;
    request.set_page_size(kPageSize);
    do {
      PANAL_ASSIGN_OR_RETURN(auto page, Unary<v1::ListNeighborsResponse>(
                                            *peer_, &v1::PeerObject::Stub::ListNeighbors, request));
      for (v1::Neighbor& neighbor : *page.mutable_neighbors()) all.push_back(std::move(neighbor));
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return all;
  }

  absl::StatusOr<v1::ResolvePeerResponse> ResolvePeer(const std::string& prefix) override {
    v1::ResolvePeerRequest request;
    request.set_prefix(prefix);
    return Unary<v1::ResolvePeerResponse>(*peer_, &v1::PeerObject::Stub::ResolvePeer, request);
  }

  absl::StatusOr<v1::CreateTicketResponse> CreateTicket(
      const v1::CreateTicketRequest& request) override {
    return Unary<v1::CreateTicketResponse>(*peer_, &v1::PeerObject::Stub::CreateTicket, request);
  }

  absl::StatusOr<v1::JoinMeshResponse> JoinMesh(const std::string& ticket) override {
    v1::JoinMeshRequest request;
    request.set_ticket(ticket);
    return Unary<v1::JoinMeshResponse>(*peer_, &v1::PeerObject::Stub::JoinMesh, request,
                                       options_.stream_timeout);
  }

  absl::StatusOr<std::vector<v1::Member>> ListMembers() override {
    std::vector<v1::Member> all;
    v1::ListMembersRequest request;
    request.set_page_size(kPageSize);
    do {
      PANAL_ASSIGN_OR_RETURN(auto page, Unary<v1::ListMembersResponse>(
                                            *peer_, &v1::PeerObject::Stub::ListMembers, request));
      for (v1::Member& member : *page.mutable_members()) all.push_back(std::move(member));
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return all;
  }

  absl::StatusOr<v1::RevokeResponse> Revoke(const v1::RevokeRequest& request) override {
    return Unary<v1::RevokeResponse>(*peer_, &v1::PeerObject::Stub::Revoke, request);
  }

  absl::StatusOr<v1::MoveToResponse> MoveTo(const std::string& public_key) override {
    v1::MoveToRequest request;
    request.set_public_key(public_key);
    return Unary<v1::MoveToResponse>(*peer_, &v1::PeerObject::Stub::MoveTo, request);
  }

  absl::StatusOr<v1::DiagnoseResponse> Diagnose() override {
    return Unary<v1::DiagnoseResponse>(*peer_, &v1::PeerObject::Stub::Diagnose,
                                       v1::DiagnoseRequest());
  }

  absl::StatusOr<v1::PutFileResponse> PutFile(const v1::PutFileRequest& request) override {
    return Unary<v1::PutFileResponse>(*file_, &v1::FileObject::Stub::PutFile, request);
  }

  absl::StatusOr<v1::AddPathResponse> AddPath(const v1::AddPathRequest& request) override {
    return Unary<v1::AddPathResponse>(*file_, &v1::FileObject::Stub::AddPath, request,
                                      options_.stream_timeout);
  }

  absl::StatusOr<v1::UploadFileResponse> UploadFile(const UploadItem& item,
                                                    const v1::UploadStart& start) override;
  absl::StatusOr<v1::UploadFileResponse> UploadDirectory(
      const v1::UploadFinishDirectory& finish,
      const std::function<absl::StatusOr<bool>(UploadItem* item)>& next) override;

  absl::StatusOr<v1::ListFilesResponse> ListFiles(const v1::ListFilesRequest& request) override {
    return Unary<v1::ListFilesResponse>(*file_, &v1::FileObject::Stub::ListFiles, request);
  }

  absl::StatusOr<v1::FileInfo> GetFile(const std::string& id) override {
    v1::GetFileRequest request;
    request.set_id(id);
    PANAL_ASSIGN_OR_RETURN(
        auto response, Unary<v1::GetFileResponse>(*file_, &v1::FileObject::Stub::GetFile, request));
    return std::move(*response.mutable_file());
  }

  absl::StatusOr<v1::ListDirectoryResponse> ListDirectory(
      const v1::ListDirectoryRequest& request) override {
    return Unary<v1::ListDirectoryResponse>(*file_, &v1::FileObject::Stub::ListDirectory, request);
  }

  absl::Status ReadFile(const v1::ReadFileRequest& request,
                        const std::function<absl::Status(const std::string&)>& sink) override;
  absl::StatusOr<v1::FetchFileResponse> FetchFile(
      const v1::FetchFileRequest& request,
      const std::function<void(const v1::FetchFileResponse&)>& on_progress) override;

  absl::StatusOr<v1::RemoveFileResponse> RemoveFile(const std::string& id) override {
    v1::RemoveFileRequest request;
    request.set_id(id);
    return Unary<v1::RemoveFileResponse>(*file_, &v1::FileObject::Stub::RemoveFile, request);
  }

  absl::StatusOr<v1::SearchSummary> Search(
      const v1::SearchRequest& request, const std::function<bool(const v1::Hit&)>& on_hit) override;

  std::unique_ptr<SubscriptionStream> Subscribe(const v1::SubscribeRequest& request) override {
    return std::make_unique<SubscriptionStreamImpl>(*search_, Context(std::chrono::milliseconds(0)),
                                                    request, options_.stream_timeout);
  }

  absl::Status Unsubscribe(const std::string& subscription) override {
    v1::UnsubscribeRequest request;
    request.set_subscription(subscription);
    return Unary<v1::UnsubscribeResponse>(*search_, &v1::SearchObject::Stub::Unsubscribe, request)
        .status();
  }

  std::shared_ptr<grpc::Channel> channel() override { return channel_; }

 private:
  // A context with deadline (none for 0) and the object's reference.
  std::unique_ptr<grpc::ClientContext> Context(std::chrono::milliseconds timeout) const {
    auto context = std::make_unique<grpc::ClientContext>();
    if (timeout.count() > 0) context->set_deadline(std::chrono::system_clock::now() + timeout);
    if (!options_.object.empty()) context->AddMetadata("panal-object", options_.object);
    return context;
  }

  template <typename Response, typename Stub, typename Request>
  absl::StatusOr<Response> Unary(
      Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const Request& request, std::chrono::milliseconds timeout = std::chrono::milliseconds(-1)) {
    auto context = Context(timeout.count() < 0 ? options_.timeout : timeout);
    Response response;
    PANAL_RETURN_IF_ERROR(FromGrpc((stub.*method)(context.get(), request, &response)));
    return response;
  }

  using UploadWriter = grpc::ClientWriter<v1::UploadFileRequest>;

  // Writes one item's messages. False: the peer ended the stream; its status says why.
  absl::StatusOr<bool> Send(UploadWriter& writer, StallGuard& guard, const UploadItem& item,
                            v1::UploadStart start);

  const ClientOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::PeerObject::Stub> peer_;
  const std::unique_ptr<v1::FileObject::Stub> file_;
  const std::unique_ptr<v1::SearchObject::Stub> search_;
};

absl::StatusOr<bool> ClientImpl::Send(UploadWriter& writer, StallGuard& guard,
                                      const UploadItem& item, v1::UploadStart start) {
  start.set_name(item.name);
  start.set_size_bytes(item.size_bytes);
  start.set_executable(item.executable);
  start.set_is_directory(item.is_directory);
  v1::UploadFileRequest message;
  *message.mutable_start() = std::move(start);
  if (!writer.Write(message)) return false;
  int64_t sent = 0;
  while (item.bytes) {
    PANAL_ASSIGN_OR_RETURN(std::string bytes, item.bytes());
    if (bytes.empty()) break;
    v1::UploadChunk* chunk = message.mutable_chunk();
    chunk->set_offset_bytes(sent);
    sent += static_cast<int64_t>(bytes.size());
    chunk->set_data(std::move(bytes));
    if (!writer.Write(message)) return false;
    guard.Moved();
  }
  message.mutable_finish();
  return writer.Write(message);
}

absl::StatusOr<v1::UploadFileResponse> ClientImpl::UploadFile(const UploadItem& item,
                                                              const v1::UploadStart& start) {
  auto context = Context(std::chrono::milliseconds(0));
  v1::UploadFileResponse response;
  StallGuard guard(*context, options_.stream_timeout);
  auto writer = file_->UploadFile(context.get(), &response);
  absl::StatusOr<bool> sent = Send(*writer, guard, item, start);
  if (!sent.ok()) {
    context->TryCancel();
    (void)writer->Finish();
    return sent.status();
  }
  writer->WritesDone();
  PANAL_RETURN_IF_ERROR(guard.Result(writer->Finish()));
  return response;
}

absl::StatusOr<v1::UploadFileResponse> ClientImpl::UploadDirectory(
    const v1::UploadFinishDirectory& finish,
    const std::function<absl::StatusOr<bool>(UploadItem* item)>& next) {
  auto context = Context(std::chrono::milliseconds(0));
  v1::UploadFileResponse response;
  StallGuard guard(*context, options_.stream_timeout);
  auto writer = file_->UploadFile(context.get(), &response);
  absl::StatusOr<bool> going = true;
  while (going.ok() && *going) {
    UploadItem item;
    absl::StatusOr<bool> more = next(&item);
    if (!more.ok()) going = more.status();
    if (!more.ok() || !*more) break;
    v1::UploadStart start;
    start.set_directory_entry(true);
    going = Send(*writer, guard, item, std::move(start));
  }
  if (!going.ok()) {
    context->TryCancel();
    (void)writer->Finish();
    return going.status();
  }
  v1::UploadFileRequest message;
  *message.mutable_finish_directory() = finish;
  writer->Write(message);
  writer->WritesDone();
  PANAL_RETURN_IF_ERROR(guard.Result(writer->Finish()));
  return response;
}

absl::Status ClientImpl::ReadFile(const v1::ReadFileRequest& request,
                                  const std::function<absl::Status(const std::string&)>& sink) {
  auto context = Context(std::chrono::milliseconds(0));
  StallGuard guard(*context, options_.stream_timeout);
  auto reader = file_->ReadFile(context.get(), request);
  v1::ReadFileResponse part;
  while (reader->Read(&part)) {
    absl::Status taken = sink(part.data());
    guard.Moved();
    if (taken.ok()) continue;
    context->TryCancel();
    (void)reader->Finish();
    return taken;
  }
  return guard.Result(reader->Finish());
}

absl::StatusOr<v1::FetchFileResponse> ClientImpl::FetchFile(
    const v1::FetchFileRequest& request,
    const std::function<void(const v1::FetchFileResponse&)>& on_progress) {
  auto context = Context(std::chrono::milliseconds(0));
  StallGuard guard(*context, options_.stream_timeout);
  auto reader = file_->FetchFile(context.get(), request);
  v1::FetchFileResponse progress;
  while (reader->Read(&progress)) {
    on_progress(progress);
    guard.Moved();
  }
  PANAL_RETURN_IF_ERROR(guard.Result(reader->Finish()));
  if (!progress.done()) {
    return Error(ErrorReason::kInternal, "the fetch ended without saying that it is done");
  }
  return progress;
}

absl::StatusOr<v1::SearchSummary> ClientImpl::Search(
    const v1::SearchRequest& request, const std::function<bool(const v1::Hit&)>& on_hit) {
  auto context = Context(std::chrono::milliseconds(0));
  StallGuard guard(*context, options_.stream_timeout);
  auto reader = search_->Search(context.get(), request);
  v1::SearchResponse response;
  v1::SearchSummary summary;
  while (reader->Read(&response)) {
    if (response.has_summary()) summary = response.summary();
    bool go_on = !response.has_hit() || on_hit(response.hit());
    guard.Moved();
    if (go_on) continue;
    context->TryCancel();
    (void)reader->Finish();
    return summary;
  }
  PANAL_RETURN_IF_ERROR(guard.Result(reader->Finish()));
  return summary;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(ClientOptions options) {
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  if (!options.token.empty()) {
    // Else gRPC would fail every call without saying why.
    const bool printable = std::all_of(options.token.begin(), options.token.end(), [](char c) {
      return absl::ascii_isgraph(static_cast<unsigned char>(c));
    });
    if (!printable) {
      return Error(ErrorReason::kConfigInvalid,
                   "the token has characters that no header may have, such as blanks");
    }
    interceptors.push_back(std::make_unique<TokenInterceptorFactory>(options.token));
  }
  auto channel = grpc::experimental::CreateCustomChannelWithInterceptors(
      options.address, grpc::InsecureChannelCredentials(), grpc::ChannelArguments(),
      std::move(interceptors));
  auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(3);
  if (!channel->WaitForConnected(deadline)) {
    return Error(ErrorReason::kPeerUnreachable,
                 absl::StrCat("no peer answers at ", options.address,
                              "; is panald running, and is this its --api-listen address? Choose "
                              "another with --api HOST:PORT or PANAL_API"),
                 {{"address", options.address}});
  }
  return std::make_unique<ClientImpl>(std::move(options), std::move(channel));
}

std::string ReasonNameOf(const absl::Status& status) {
  ErrorReason reason = ReasonOf(status);
  return reason == ErrorReason::kUnspecified ? "" : std::string(ReasonName(reason));
}

}  // namespace panal
