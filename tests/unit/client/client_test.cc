// The client library against a server that answers as told: deadlines, silence, paging, errors.
#include "client/proxy/client.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "common/base/status.h"
#include "common/rpc/initialize.h"
#include "common/wire/status_codec.h"
#include "panal/v1/file_object.grpc.pb.h"
#include "panal/v1/peer_object.grpc.pb.h"
#include "panal/v1/search_object.grpc.pb.h"

namespace panal {
namespace {

using std::chrono::milliseconds;

class FakePeer final : public v1::PeerObject::Service {
 public:
  int neighbors = 0;
  std::string object;  // Metadata of the last call.
  std::string authorization;

  grpc::Status GetPeer(grpc::ServerContext* context, const v1::GetPeerRequest*,
                       v1::GetPeerResponse* response) override {
    auto it = context->client_metadata().find("panal-object");
    if (it != context->client_metadata().end()) {
      object = std::string(it->second.data(), it->second.size());
    }
    auto token = context->client_metadata().find("authorization");
    authorization = token == context->client_metadata().end()
                        ? ""
                        : std::string(token->second.data(), token->second.size());
    response->set_mesh("test");
    return grpc::Status::OK;
  }

  grpc::Status ListNeighbors(grpc::ServerContext*, const v1::ListNeighborsRequest* request,
                             v1::ListNeighborsResponse* response) override {
    int from = request->page_token().empty() ? 0 : std::stoi(request->page_token());
    int to = std::min(neighbors, from + request->page_size());
    for (int i = from; i < to; ++i) response->add_neighbors()->set_peer_id(std::to_string(i));
    if (to < neighbors) response->set_next_page_token(std::to_string(to));
    return grpc::Status::OK;
  }

  // Never answers by itself.
  grpc::Status Diagnose(grpc::ServerContext* context, const v1::DiagnoseRequest*,
                        v1::DiagnoseResponse*) override {
    while (!context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::CANCELLED;
  }
};

class FakeFiles final : public v1::FileObject::Service {
 public:
  std::vector<std::string> parts;
  bool silent_after_parts = false;
  std::string uploaded;
  std::vector<std::string> names;
  bool refuse_upload = false;

  grpc::Status GetFile(grpc::ServerContext*, const v1::GetFileRequest* request,
                       v1::GetFileResponse* response) override {
    if (request->id() == "known") {
      response->mutable_file()->set_name("file");
      return grpc::Status::OK;
    }
    absl::Status status =
        Error(ErrorReason::kFileNotFound, "no such file", {{"id", request->id()}});
    return {grpc::StatusCode::NOT_FOUND, "no such file", EncodeStatusDetails(status)};
  }

  grpc::Status ReadFile(grpc::ServerContext* context, const v1::ReadFileRequest*,
                        grpc::ServerWriter<v1::ReadFileResponse>* writer) override {
    v1::ReadFileResponse response;
    for (const std::string& part : parts) {
      response.set_data(part);
      if (!writer->Write(response)) return grpc::Status::CANCELLED;
    }
    while (silent_after_parts && !context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::OK;
  }

  grpc::Status FetchFile(grpc::ServerContext*, const v1::FetchFileRequest* request,
                         grpc::ServerWriter<v1::FetchFileResponse>* writer) override {
    v1::FetchFileResponse progress;
    for (int i = 1; i <= 3; ++i) {
      progress.set_held_bytes(i);
      progress.set_done(i == 3 && request->id() == "whole");
      writer->Write(progress);
    }
    return grpc::Status::OK;
  }

  grpc::Status UploadFile(grpc::ServerContext*, grpc::ServerReader<v1::UploadFileRequest>* reader,
                          v1::UploadFileResponse* response) override {
    v1::UploadFileRequest request;
    while (reader->Read(&request)) {
      if (refuse_upload) return {grpc::StatusCode::RESOURCE_EXHAUSTED, "full"};
      if (request.has_start()) names.push_back(request.start().name());
      if (request.has_chunk()) uploaded += request.chunk().data();
    }
    response->set_id("uploaded");
    return grpc::Status::OK;
  }
};

class FakeSearch final : public v1::SearchObject::Service {
 public:
  grpc::Status Search(grpc::ServerContext*, const v1::SearchRequest*,
                      grpc::ServerWriter<v1::SearchResponse>* writer) override {
    for (const char* id : {"one", "two", "three"}) {
      v1::SearchResponse response;
      response.mutable_hit()->set_id(id);
      if (!writer->Write(response)) return grpc::Status::CANCELLED;
    }
    v1::SearchResponse response;
    response.mutable_summary()->set_peers_reached(5);
    writer->Write(response);
    return grpc::Status::OK;
  }
};

class ClientTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { InitializeRpc(); }

  ClientTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&peer_);
    builder.RegisterService(&files_);
    builder.RegisterService(&search_);
    server_ = builder.BuildAndStart();
  }

  ~ClientTest() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::unique_ptr<Client> Connect(ClientOptions options = {}) {
    options.address = "127.0.0.1:" + std::to_string(port_);
    auto client = Client::Connect(std::move(options));
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  int port_ = 0;
  FakePeer peer_;
  FakeFiles files_;
  FakeSearch search_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(ClientTest, SaysThatNobodyAnswers) {
  auto client = Client::Connect({.address = "127.0.0.1:1"});

  EXPECT_EQ(ReasonNameOf(client.status()), "PEER_UNREACHABLE");
  EXPECT_EQ(client.status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClientTest, NamesTheObjectThatIsCalled) {
  auto client = Connect({.object = "panal://peer/panal.v1.PeerObject/"});

  EXPECT_EQ(client->GetPeer()->mesh(), "test");
  EXPECT_EQ(peer_.object, "panal://peer/panal.v1.PeerObject/");
}

TEST_F(ClientTest, SendsItsTokenWithEveryCallOfTheChannel) {
  auto client = Connect({.token = "secret"});

  EXPECT_TRUE(client->GetPeer().ok());
  EXPECT_EQ(peer_.authorization, "Bearer secret");
  peer_.authorization.clear();
  grpc::ClientContext context;
  v1::GetPeerResponse response;
  EXPECT_TRUE(v1::PeerObject::NewStub(client->channel())->GetPeer(&context, {}, &response).ok());
  EXPECT_EQ(peer_.authorization, "Bearer secret");
  EXPECT_TRUE(Connect()->GetPeer().ok());
  EXPECT_EQ(peer_.authorization, "");
}

TEST_F(ClientTest, RefusesATokenThatNoHeaderMayHave) {
  for (const char* token : {"two words", "line\n", "\xc3\xa4"}) {
    EXPECT_EQ(ReasonOf(Client::Connect({.address = "127.0.0.1:1", .token = token}).status()),
              ErrorReason::kConfigInvalid);
  }
}

TEST_F(ClientTest, GathersAllPages) {
  peer_.neighbors = 2345;

  auto neighbors = Connect()->ListNeighbors();

  ASSERT_TRUE(neighbors.ok()) << neighbors.status();
  ASSERT_EQ(neighbors->size(), 2345u);
  EXPECT_EQ(neighbors->back().peer_id(), "2344");
}

TEST_F(ClientTest, KeepsReasonAndValuesOfAnError) {
  auto client = Connect();

  EXPECT_EQ(client->GetFile("known")->name(), "file");
  absl::Status status = client->GetFile("unknown").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonNameOf(status), "FILE_NOT_FOUND");
  EXPECT_EQ(MetadataOf(status)["id"], "unknown");
  EXPECT_EQ(ReasonNameOf(absl::InternalError("no reason")), "");
}

TEST_F(ClientTest, EndsACallThatIsNotAnswered) {
  absl::Status status = Connect({.timeout = milliseconds(200)})->Diagnose().status();

  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ClientTest, EndsAStreamThatFallsSilent) {
  files_.parts = {"some"};
  files_.silent_after_parts = true;
  std::string bytes;

  absl::Status status =
      Connect({.stream_timeout = milliseconds(300)})->ReadFile({}, [&](const std::string& part) {
        bytes += part;
        return absl::OkStatus();
      });

  EXPECT_EQ(ReasonNameOf(status), "DEADLINE_EXCEEDED") << status;
  EXPECT_EQ(bytes, "some");
}

TEST_F(ClientTest, ReadsInOrderAndStopsWhenTheSinkFails) {
  files_.parts = {"a", "b", "c"};
  std::string bytes;
  auto take = [&](const std::string& part) -> absl::Status {
    bytes += part;
    return part == "b" ? absl::DataLossError("disk") : absl::OkStatus();
  };

  EXPECT_EQ(Connect()->ReadFile({}, take).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(bytes, "ab");
}

TEST_F(ClientTest, GivesEveryProgressOfAFetchAndTheLastOne) {
  v1::FetchFileRequest request;
  request.set_id("whole");
  int calls = 0;

  auto last = Connect()->FetchFile(request, [&](const v1::FetchFileResponse&) { ++calls; });

  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->held_bytes(), 3);
  EXPECT_EQ(calls, 3);
  request.set_id("cut off");
  absl::Status cut_off =
      Connect()->FetchFile(request, [](const v1::FetchFileResponse&) {}).status();
  EXPECT_EQ(ReasonNameOf(cut_off), "INTERNAL") << cut_off;
}

TEST_F(ClientTest, UploadsWhatTheSourceGives) {
  std::vector<std::string> parts = {"", "world", "hello "};
  UploadItem item{.name = "greeting", .size_bytes = 11};
  item.bytes = [&]() -> absl::StatusOr<std::string> {
    std::string part = parts.back();
    parts.pop_back();
    return part;
  };

  auto response = Connect()->UploadFile(item, {});

  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->id(), "uploaded");
  EXPECT_EQ(files_.uploaded, "hello world");
  EXPECT_EQ(files_.names, std::vector<std::string>{"greeting"});
}

TEST_F(ClientTest, EndsAnUploadWhoseSourceFailsOrThatIsRefused) {
  UploadItem item{.name = "broken", .size_bytes = 1};
  item.bytes = []() -> absl::StatusOr<std::string> { return absl::DataLossError("disk"); };
  EXPECT_EQ(Connect()->UploadFile(item, {}).status().code(), absl::StatusCode::kDataLoss);

  files_.refuse_upload = true;
  item.bytes = []() -> absl::StatusOr<std::string> { return std::string(1 << 20, 'x'); };
  EXPECT_EQ(Connect()->UploadFile(item, {}).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ClientTest, GivesHitsUntilTheProgramHasEnough) {
  std::vector<std::string> ids;
  auto all = Connect()->Search({}, [&](const v1::Hit& hit) {
    ids.push_back(hit.id());
    return true;
  });
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->peers_reached(), 5);
  EXPECT_EQ(ids, (std::vector<std::string>{"one", "two", "three"}));

  ids.clear();
  auto first = Connect()->Search({}, [&](const v1::Hit& hit) {
    ids.push_back(hit.id());
    return false;
  });
  EXPECT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(ids, std::vector<std::string>{"one"});
}

}  // namespace
}  // namespace panal
