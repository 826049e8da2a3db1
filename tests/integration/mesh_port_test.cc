#include "server/runtime/mesh_port.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/identity/credential.h"
#include "common/rpc/status_convert.h"
#include "common/rpc/stream_admission.h"
#include "common/wire/frame_codec.h"
#include "server/runtime/peer_channels.h"
#include "server/runtime/peer_methods.h"
#include "tests/integration/mesh_peer.h"
#include "tests/integration/raw_stream.h"

namespace panal {
namespace {

using Kind = LinkEvent::Kind;

absl::Status EndOf(RawStream& stream) { return FromGrpcStatus(stream.Finish()); }

// What a Link stream with this metadata ends with.
absl::Status OpenWith(MeshPeer& peer, const Identity& identity,
                      const RawStream::Metadata& metadata) {
  RawStream stream(RawChannel(identity, peer.address()), kLinkMethod, metadata);
  return EndOf(stream);
}

// A raw dialler that is linked: Hello said, answered and confirmed.
std::unique_ptr<RawStream> RawLink(MeshPeer& peer, const Identity& identity) {
  auto stream = std::make_unique<RawStream>(RawChannel(identity, peer.address()), kLinkMethod,
                                            GoodMetadata(identity));
  EXPECT_TRUE(stream->Write(EncodeFrame(Hello{})));
  EXPECT_TRUE(stream->Read().has_value());
  EXPECT_TRUE(stream->Write(""));
  EXPECT_TRUE(peer.WaitFor(Kind::kUp, identity.peer_id(), 1));
  return stream;
}

// --- Admission -----------------------------------------------------------------------------------

TEST(MeshPort, RefusesACallerWhoNamesNoMeshOrAnother) {
  MeshPeer peer;
  const Identity caller = Identity::Generate();
  RawStream::Metadata no_mesh = GoodMetadata(caller);
  no_mesh.erase(no_mesh.begin());
  RawStream::Metadata twice = GoodMetadata(caller);
  twice.push_back(twice[0]);

  EXPECT_EQ(ReasonOf(OpenWith(peer, caller, no_mesh)), ErrorReason::kMeshMismatch);
  EXPECT_EQ(ReasonOf(OpenWith(peer, caller, GoodMetadata(caller, "other"))),
            ErrorReason::kMeshMismatch);
  EXPECT_EQ(ReasonOf(OpenWith(peer, caller, twice)), ErrorReason::kMeshMismatch);
  EXPECT_TRUE(peer.events().empty());
}

TEST(MeshPort, RefusesAMissingForeignOrGarbledCredential) {
  MeshPeer peer;
  const Identity caller = Identity::Generate();
  const std::string mesh = OpenMeshId("test").ToText();
  const RawStream::Metadata missing = {{kMeshKey, mesh}};
  const RawStream::Metadata foreign = GoodMetadata(Identity::Generate());
  const RawStream::Metadata garbled = {{kMeshKey, mesh}, {kCredentialKey, "garbage"}};

  EXPECT_EQ(ReasonOf(OpenWith(peer, caller, missing)), ErrorReason::kCredentialInvalid);
  EXPECT_EQ(ReasonOf(OpenWith(peer, caller, foreign)), ErrorReason::kCredentialInvalid);
  EXPECT_EQ(ReasonOf(OpenWith(peer, caller, garbled)), ErrorReason::kCredentialInvalid);
  EXPECT_TRUE(peer.events().empty());
}

TEST(MeshPort, HasNoMethodButThePeerStreams) {
  MeshPeer peer;
  const Identity caller = Identity::Generate();

  for (const char* method : {"/panal.v1.PeerObject/GetPeer", "/grpc.health.v1.Health/Check",
                             "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    RawStream stream(RawChannel(caller, peer.address()), method, GoodMetadata(caller));
    EXPECT_EQ(ReasonOf(EndOf(stream)), ErrorReason::kMethodNotFound) << method;
  }
}

TEST(MeshPort, RefusesCompression) {
  MeshPeer peer;
  const Identity caller = Identity::Generate();
  RawStream::Metadata metadata = GoodMetadata(caller);
  metadata.push_back({"grpc-internal-encoding-request", "gzip"});

  RawStream stream(RawChannel(caller, peer.address()), kLinkMethod, metadata);
  stream.Write(EncodeFrame(Hello{.version = std::string(64, 'a')}));

  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

// --- TLS -----------------------------------------------------------------------------------------

grpc::Status OpenWithCredentials(MeshPeer& peer, std::shared_ptr<grpc::ChannelCredentials> creds) {
  RawStream stream(grpc::CreateChannel(peer.address(), std::move(creds)), kLinkMethod);
  return stream.Finish();
}

TEST(MeshPort, RefusesACallerWithoutCertificate) {
  MeshPeer peer;
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());

  const grpc::Status status =
      OpenWithCredentials(peer, grpc::experimental::TlsCredentials(options));

  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(MeshPort, RefusesPlaintext) {
  MeshPeer peer;

  EXPECT_EQ(OpenWithCredentials(peer, grpc::InsecureChannelCredentials()).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

// What openssl's client says when it connects with `version`.
std::string OpensslClient(const MeshPeer& peer, const std::string& version) {
  const std::string path = absl::StrCat(testing::TempDir(), "/client.pem");
  const Identity caller = Identity::Generate();
  std::ofstream(path) << caller.key_pem() << caller.certificate_pem();
  const std::string command =
      absl::StrCat("timeout 10 openssl s_client -connect ", peer.address(), " -alpn h2 ", version,
                   " -cert ", path, " -key ", path, " </dev/null 2>&1");
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  char buffer[4096];
  while (size_t size = fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, size);
  pclose(pipe);
  return output;
}

TEST(MeshPort, SpeaksTls13AndRefusesTls12) {
  MeshPeer peer;

  const std::string modern = OpensslClient(peer, "-tls1_3");
  const std::string old = OpensslClient(peer, "-tls1_2");

  EXPECT_TRUE(absl::StrContains(modern, "New, TLSv1.3")) << modern;
  EXPECT_TRUE(absl::StrContains(old, "Cipher is (NONE)")) << old;
}

// --- Frames --------------------------------------------------------------------------------------

TEST(MeshPort, AnswersAHelloWithItsOwnAndReportsTheLinkOnceConfirmed) {
  MeshPeer peer({.hello = {.version = "9.9.9"}});
  const Identity caller = Identity::Generate();
  RawStream stream(RawChannel(caller, peer.address()), kLinkMethod, GoodMetadata(caller));

  ASSERT_TRUE(stream.Write(EncodeFrame(Hello{})));
  const std::optional<std::string> answer = stream.Read();

  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(std::get<Hello>(**DecodeFrame(*answer)).version, "9.9.9");
  EXPECT_EQ(peer.Count(Kind::kUp, caller.peer_id()), 0);
  stream.Write("");
  EXPECT_TRUE(peer.WaitFor(Kind::kUp, caller.peer_id(), 1));
}

// What a stream ends with whose first frame is `first`.
absl::Status EndAfterFirst(const std::string& first) {
  MeshPeer peer;
  const Identity caller = Identity::Generate();
  RawStream stream(RawChannel(caller, peer.address()), kLinkMethod, GoodMetadata(caller));
  stream.Write(first);
  const absl::Status end = EndOf(stream);
  EXPECT_TRUE(peer.events().empty());
  return end;
}

TEST(MeshPort, RefusesAFirstFrameThatIsNoHelloOrNoFrame) {
  const std::string hello = EncodeFrame(Hello{.version = "1.0.0"});

  EXPECT_EQ(ReasonOf(EndAfterFirst(EncodeFrame(Join{}))), ErrorReason::kFrameInvalid);
  EXPECT_EQ(ReasonOf(EndAfterFirst("")), ErrorReason::kFrameInvalid);
  EXPECT_EQ(ReasonOf(EndAfterFirst("\xff\xff garbage")), ErrorReason::kFrameInvalid);
  EXPECT_EQ(ReasonOf(EndAfterFirst(hello.substr(0, hello.size() - 1))), ErrorReason::kFrameInvalid);
  EXPECT_EQ(ReasonOf(EndAfterFirst(EncodeFrame(Hello{.protocol_min = 7, .protocol_max = 9}))),
            ErrorReason::kProtocolVersionUnsupported);
}

TEST(MeshPort, RefusesFramesAboveTheLimit) {
  EXPECT_EQ(ReasonOf(EndAfterFirst(std::string(kFrameSizeMax + 1, 'x'))),
            ErrorReason::kFrameTooLarge);
  // Beyond gRPC's own limit there is no reason, but the same code.
  EXPECT_EQ(EndAfterFirst(std::string(kControlMessageMax + 1, 'x')).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(MeshPort, EndsTheLinkOnAGarbledLaterFrame) {
  MeshPeer peer;
  const Identity caller = Identity::Generate();
  std::unique_ptr<RawStream> stream = RawLink(peer, caller);

  stream->Write("\x0a\xff");

  EXPECT_EQ(ReasonOf(EndOf(*stream)), ErrorReason::kFrameInvalid);
  ASSERT_TRUE(peer.WaitFor(Kind::kLost, caller.peer_id(), 1));
  EXPECT_EQ(ReasonOf(peer.Last(Kind::kLost, caller.peer_id()).why), ErrorReason::kFrameInvalid);
}

TEST(MeshPort, IgnoresFramesOfAnUnknownCase) {
  MeshPeer peer;
  const Identity caller = Identity::Generate();
  std::unique_ptr<RawStream> stream = RawLink(peer, caller);

  stream->Write(absl::string_view("\xfa\x01\x00", 3));
  stream->Write(EncodeFrame(Join{}));

  EXPECT_TRUE(peer.WaitFor(Kind::kFrame, caller.peer_id(), 1));
  EXPECT_EQ(peer.Count(Kind::kLost, caller.peer_id()), 0);
}

TEST(MeshPort, ReplacesTheLinkOfAPeerThatOpensAnother) {
  MeshPeer peer;
  const Identity caller = Identity::Generate();
  std::unique_ptr<RawStream> first = RawLink(peer, caller);

  RawStream second(RawChannel(caller, peer.address()), kLinkMethod, GoodMetadata(caller));
  second.Write(EncodeFrame(Hello{}));

  ASSERT_TRUE(second.Read().has_value());
  second.Write("");
  ASSERT_TRUE(peer.WaitFor(Kind::kUp, caller.peer_id(), 2));
  EXPECT_EQ(peer.Count(Kind::kLost, caller.peer_id()), 1);
  EXPECT_EQ(peer.events()[1].kind, Kind::kLost);
}

TEST(MeshPort, DropsANeighborThatDoesNotRead) {
  MeshPeer peer;
  const Identity caller = Identity::Generate();
  std::unique_ptr<RawStream> stream = RawLink(peer, caller);
  // A frame of about 200 KiB.
  Answer answer{.hits = std::vector<Hit>(200)};
  for (Hit& hit : answer.hits) hit.record.name = std::string(1000, 'n');

  int sent = 0;
  while (peer.Count(Kind::kLost, caller.peer_id()) == 0 && sent < 2000) {
    peer.links().Send(caller.peer_id(), answer);
    ++sent;
  }

  ASSERT_TRUE(peer.WaitFor(Kind::kLost, caller.peer_id(), 1));
  EXPECT_EQ(ReasonOf(peer.Last(Kind::kLost, caller.peer_id()).why), ErrorReason::kOverloaded);
  EXPECT_GE(sent, static_cast<int>(kLinkQueueMax / kFrameSizeMax));
}

// --- The port itself -----------------------------------------------------------------------------

absl::Status OpenOn(const std::string& listen) {
  const Identity identity = Identity::Generate();
  NoFiles files;
  std::unique_ptr<Dispatcher> dispatcher = Dispatcher::Create({});
  const MeshAdmission admission(identity, OpenMeshId("test"));
  auto port =
      MeshPort::Open({.listen = listen}, identity, admission, {}, {}, {}, files, *dispatcher, {});
  dispatcher->Stop();
  return port.status();
}

TEST(MeshPort, SaysThatThePortIsTaken) {
  MeshPeer peer;

  const absl::Status status = OpenOn(peer.address());

  EXPECT_EQ(ReasonOf(status), ErrorReason::kPortTaken);
  EXPECT_TRUE(absl::StrContains(status.message(), peer.address())) << status;
}

TEST(MeshPort, RefusesAListenAddressThatIsNone) {
  for (const char* listen : {"", "127.0.0.1", ":7401", "127.0.0.1:", "127.0.0.1:65536", "::1:7401",
                             "127.0.0.1:-1", "127.0.0.1:x"}) {
    EXPECT_EQ(ReasonOf(OpenOn(listen)), ErrorReason::kConfigInvalid) << listen;
  }
}

TEST(MeshPort, ListensOnNamesAndOnIpv6) {
  MeshPeer named({.listen = "localhost:0"});
  MeshPeer ipv6({.listen = "[::1]:0"});

  named.links().Dial(ipv6.contact());

  EXPECT_TRUE(absl::StartsWith(named.address(), "localhost:"));
  EXPECT_TRUE(absl::StartsWith(ipv6.address(), "[::1]:"));
  EXPECT_TRUE(named.WaitFor(Kind::kUp, ipv6.id(), 1));
}

}  // namespace
}  // namespace panal
