// FileObject/Blocks between two real peers over mutual TLS. Sources that break the protocol are a
// reactor that sends what it is told, readers that do are a raw stream.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/rpc/byte_buffer.h"
#include "common/rpc/status_convert.h"
#include "panal/v1/file_object.pb.h"
#include "server/runtime/blocks_client.h"
#include "server/runtime/blocks_server.h"
#include "server/runtime/peer_methods.h"
#include "tests/integration/memory_files.h"
#include "tests/integration/raw_acceptor.h"
#include "tests/integration/raw_stream.h"
#include "tests/integration/stream_peer.h"

namespace panal {
namespace {

constexpr absl::Duration kPatienceMax = absl::Seconds(20);

// What the events of one stream brought. Outlives the stream.
class Received {
 public:
  BlocksEvents events() {
    BlocksEvents events;
    events.on_manifest = [this](ManifestAnswer answer) {
      MutexLock lock(&mutex_);
      manifests_[answer.file] = std::move(answer);
      Count();
    };
    events.on_block = [this](FileId file, uint32_t index, std::string bytes) {
      MutexLock lock(&mutex_);
      blocks_[{file, index}] = std::move(bytes);
      Count();
    };
    events.on_refused = [this](FileId, bool manifest, uint32_t index, std::string reason) {
      MutexLock lock(&mutex_);
      refusals_.push_back(absl::StrCat(manifest ? "manifest " : absl::StrCat(index, " "), reason));
      Count();
    };
    events.on_closed = [this](absl::Status why) {
      MutexLock lock(&mutex_);
      EXPECT_FALSE(closed_.has_value());
      closed_ = why;
      Count();
    };
    return events;
  }

  // Waits until that many events came.
  bool WaitFor(int count) {
    const absl::Time until = absl::Now() + kPatienceMax;
    MutexLock lock(&mutex_);
    while (count_ < count) {
      if (absl::Now() >= until) return false;
      changed_.WaitFor(&mutex_, until - absl::Now());
    }
    return true;
  }

  absl::Status WaitClosed() {
    const absl::Time until = absl::Now() + kPatienceMax;
    MutexLock lock(&mutex_);
    while (!closed_.has_value()) {
      if (absl::Now() >= until) return absl::OkStatus();
      changed_.WaitFor(&mutex_, until - absl::Now());
    }
    return *closed_;
  }

  std::string Block(const FileId& file, uint32_t index) {
    MutexLock lock(&mutex_);
    return blocks_[{file, index}];
  }

  ManifestAnswer ManifestOfFile(const FileId& file) {
    MutexLock lock(&mutex_);
    return manifests_[file];
  }

  std::vector<std::string> refusals() {
    MutexLock lock(&mutex_);
    return refusals_;
  }

  int count() {
    MutexLock lock(&mutex_);
    return count_;
  }

 private:
  void Count() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++count_;
    changed_.SignalAll();
  }

  Mutex mutex_;
  Condition changed_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<FileId, ManifestAnswer> manifests_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<FileId, uint32_t>, std::string> blocks_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> refusals_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> closed_ ABSL_GUARDED_BY(mutex_);
};

class EventCount {
 public:
  void Add() {
    MutexLock lock(&mutex_);
    ++count_;
    changed_.Signal();
  }

  // Until that many events came, or `timeout` passed.
  void WaitFor(int count, absl::Duration timeout) {
    const absl::Time until = absl::Now() + timeout;
    MutexLock lock(&mutex_);
    while (count_ < count && absl::Now() < until) {
      changed_.WaitFor(&mutex_, until - absl::Now());
    }
  }

 private:
  Mutex mutex_;
  Condition changed_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

std::unique_ptr<BlocksStream> OpenStream(StreamPeer& reader, const PeerContact& source,
                                         Received& received) {
  auto stream = reader.blocks().Open(source, received.events());
  EXPECT_TRUE(stream.ok());
  return std::move(*stream);
}

// Lets readers of blocks through one at a time, or all.
class Gate {
 public:
  absl::Status Pass() {
    MutexLock lock(&mutex_);
    ++waiting_;
    changed_.SignalAll();
    while (!open_) changed_.Wait(&mutex_);
    return absl::OkStatus();
  }

  void AwaitOne() {
    MutexLock lock(&mutex_);
    while (waiting_ == 0) changed_.Wait(&mutex_);
  }

  void Open() {
    MutexLock lock(&mutex_);
    open_ = true;
    changed_.SignalAll();
  }

 private:
  Mutex mutex_;
  Condition changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

// --- Files --------------------------------------------------------------------------------------

TEST(Blocks, CarryAManifestAndEveryBlockOfAFile) {
  MemoryFiles files;
  const std::string content = Random(1).Bytes(3 * kBlockSizeMin + 1234);
  const FileId id = files.Add(content);
  StreamPeer source({.files = &files});
  StreamPeer reader;
  Received received;
  auto stream = OpenStream(reader, source.contact(), received);

  ASSERT_TRUE(stream->WantManifest(id));
  ASSERT_TRUE(received.WaitFor(1));
  const auto manifest = DecodeManifest(received.ManifestOfFile(id).manifest, id);
  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(received.ManifestOfFile(id).held, "");
  EXPECT_FALSE(received.ManifestOfFile(id).has_inline_content);
  for (uint32_t i = 0; i < 4; ++i) ASSERT_TRUE(stream->WantBlock(id, i, manifest->BlockSize(i)));

  ASSERT_TRUE(received.WaitFor(5));
  std::string joined;
  for (uint32_t i = 0; i < 4; ++i) joined += received.Block(id, i);
  EXPECT_TRUE(joined == content);
}

TEST(Blocks, CutLargeBlocksIntoChunks) {
  StreamPeer reader;
  Received received;
  const std::string block = Random(2).Bytes(5 * kBlockChunkSize / 2);

  class OneBlock final : public NoFiles {
   public:
    explicit OneBlock(std::string block) : block_(std::move(block)) {}

    absl::StatusOr<std::string> ReadBlock(const FileId&, uint32_t) override { return block_; }

   private:
    const std::string block_;
  } one(block);

  StreamPeer source({.files = &one});
  auto stream = OpenStream(reader, source.contact(), received);

  ASSERT_TRUE(stream->WantBlock(FileId(), 7, static_cast<uint32_t>(block.size())));

  ASSERT_TRUE(received.WaitFor(1));
  EXPECT_TRUE(received.Block(FileId(), 7) == block);
}

TEST(Blocks, SendSmallContentsWithTheirManifest) {
  MemoryFiles files;
  const FileId small = files.Add("hello");
  const FileId empty = files.Add("");
  StreamPeer source({.files = &files});
  StreamPeer reader;
  Received received;
  auto stream = OpenStream(reader, source.contact(), received);

  ASSERT_TRUE(stream->WantManifest(small) && stream->WantManifest(empty));

  ASSERT_TRUE(received.WaitFor(2));
  EXPECT_EQ(received.ManifestOfFile(small).inline_content, "hello");
  EXPECT_TRUE(received.ManifestOfFile(empty).has_inline_content);
  EXPECT_EQ(received.ManifestOfFile(empty).inline_content, "");
}

TEST(Blocks, SayWhichBlocksAreHeldAndRefuseTheOthers) {
  MemoryFiles files;
  const FileId id = files.Add(std::string(10 * kBlockSizeMin, 'x'));
  files.Hold(id, {true, false, false, false, false, false, false, false, false, true});
  StreamPeer source({.files = &files});
  StreamPeer reader;
  Received received;
  auto stream = OpenStream(reader, source.contact(), received);

  ASSERT_TRUE(stream->WantManifest(id));
  ASSERT_TRUE(stream->WantBlock(id, 1, kBlockSizeMin));
  ASSERT_TRUE(stream->WantManifest(FileId()));
  ASSERT_TRUE(stream->WantBlock(id, 9, kBlockSizeMin));

  ASSERT_TRUE(received.WaitFor(4));
  EXPECT_EQ(received.ManifestOfFile(id).held, std::string("\x01\x02", 2));
  EXPECT_EQ(received.refusals(),
            (std::vector<std::string>{"1 FILE_INCOMPLETE", "manifest FILE_NOT_FOUND"}));
  EXPECT_EQ(received.Block(id, 9).size(), kBlockSizeMin);
}

TEST(Blocks, RefuseWithTheReasonThatTheStoreGives) {
  MemoryFiles files;
  const FileId id = files.Add(std::string(kBlockSizeMin, 'x'));
  files.BeforeRead(
      [](uint32_t) { return Error(ErrorReason::kBlockCorrupt, "block 0 does not hash"); });
  StreamPeer source({.files = &files});
  StreamPeer reader;
  Received received;
  auto stream = OpenStream(reader, source.contact(), received);

  ASSERT_TRUE(stream->WantBlock(id, 0, kBlockSizeMin));

  ASSERT_TRUE(received.WaitFor(1));
  EXPECT_EQ(received.refusals(), (std::vector<std::string>{"0 BLOCK_CORRUPT"}));
}

TEST(Blocks, PipelineManyFiles) {
  MemoryFiles files;
  std::vector<FileId> ids;
  for (int i = 0; i < 60; ++i) {
    ids.push_back(files.Add(absl::StrCat(i, std::string(kInlineSizeMax + 1000, 'x'))));
  }
  StreamPeer source({.files = &files});
  StreamPeer reader;
  Received received;
  auto stream = OpenStream(reader, source.contact(), received);

  for (const FileId& id : ids) ASSERT_TRUE(stream->WantManifest(id));
  ASSERT_TRUE(received.WaitFor(60));
  for (const FileId& id : ids) {
    const auto manifest = DecodeManifest(received.ManifestOfFile(id).manifest, id);
    ASSERT_TRUE(manifest.ok());
    ASSERT_TRUE(stream->WantBlock(id, 0, manifest->BlockSize(0)));
  }

  ASSERT_TRUE(received.WaitFor(120));
  for (int i = 0; i < 60; ++i)
    EXPECT_EQ(received.Block(ids[i], 0).find('x'), absl::StrCat(i).size());
}

// --- Limits -------------------------------------------------------------------------------------

TEST(Blocks, TakeSixtyFourWantsAndNotOneMore) {
  MemoryFiles files;
  Gate gate;
  const FileId id = files.Add(std::string(100 * kBlockSizeMin, 'x'));
  files.BeforeRead([&](uint32_t) { return gate.Pass(); });
  StreamPeer source({.files = &files});
  StreamPeer reader;
  Received received;
  auto stream = OpenStream(reader, source.contact(), received);
  for (uint32_t i = 0; i < kWantsPerStreamMax; ++i) {
    ASSERT_TRUE(stream->WantBlock(id, i, kBlockSizeMin));
  }

  EXPECT_FALSE(stream->WantBlock(id, 64, kBlockSizeMin));
  EXPECT_TRUE(stream->WantBlock(id, 0, kBlockSizeMin));  // Wanted already.
  gate.Open();

  ASSERT_TRUE(received.WaitFor(kWantsPerStreamMax));
  EXPECT_TRUE(stream->WantBlock(id, 64, kBlockSizeMin));
  ASSERT_TRUE(received.WaitFor(kWantsPerStreamMax + 1));
}

std::string BlockWantBytes(const FileId& id, uint32_t index) {
  v1::BlocksRequest request;
  request.mutable_block()->set_file_id(id.ToBytes());
  request.mutable_block()->set_index(index);
  return request.SerializeAsString();
}

ErrorReason EndOf(RawStream& stream) {
  while (stream.Read()) {
  }
  return ReasonOf(FromGrpcStatus(stream.Finish()));
}

TEST(Blocks, EndTheStreamOfAReaderThatWantsTooMuchOrNonsense) {
  MemoryFiles files;
  Gate gate;
  const FileId id = files.Add(std::string(kBlockSizeMin, 'x'));
  files.BeforeRead([&](uint32_t) { return gate.Pass(); });
  StreamPeer source({.files = &files});
  const Identity identity = Identity::Generate();
  auto channel = RawChannel(identity, source.contact().addresses[0]);
  v1::BlocksRequest short_id;
  short_id.mutable_manifest()->set_file_id("short");

  RawStream greedy(channel, kBlocksMethod, GoodMetadata(identity));
  for (uint32_t i = 0; i <= kWantsPerStreamMax; ++i) greedy.Write(BlockWantBytes(id, i));
  EXPECT_EQ(EndOf(greedy), ErrorReason::kFrameInvalid);
  gate.Open();

  for (const std::string& bytes :
       {std::string("\xff garbage"), std::string(), short_id.SerializeAsString()}) {
    RawStream stream(channel, kBlocksMethod, GoodMetadata(identity));
    stream.Write(bytes);
    EXPECT_EQ(EndOf(stream), ErrorReason::kFrameInvalid);
  }
}

TEST(Blocks, AnswerEverythingAfterTheReaderAskedForTheLast) {
  MemoryFiles files;
  const FileId id = files.Add(std::string(3 * kBlockSizeMin, 'x'));
  StreamPeer source({.files = &files});
  const Identity identity = Identity::Generate();
  RawStream stream(RawChannel(identity, source.contact().addresses[0]), kBlocksMethod,
                   GoodMetadata(identity));
  for (uint32_t i = 0; i < 3; ++i) stream.Write(BlockWantBytes(id, i));

  stream.WritesDone();

  for (int i = 0; i < 3; ++i) EXPECT_NE(stream.Read(), std::nullopt);
  EXPECT_EQ(stream.Read(), std::nullopt);
  EXPECT_TRUE(stream.Finish().ok());
}

// The reader reads nothing: what lies between store and reader is the queue, one block beyond it,
// and what gRPC and the sockets hold.
TEST(Blocks, ReadNoFurtherThanTheQueueForAReaderThatIsSlow) {
  MemoryFiles files;
  const std::string content(200 * kBlockSizeMin, 'x');
  const FileId id = files.Add(content);
  StreamPeer source({.files = &files, .blocks_server = {.queue_max = 4 * kBlockSizeMin}});
  const Identity identity = Identity::Generate();
  RawStream stream(RawChannel(identity, source.contact().addresses[0]), kBlocksMethod,
                   GoodMetadata(identity));
  const int wanted = 60;
  for (int i = 0; i < wanted; ++i) {
    ASSERT_TRUE(stream.Write(BlockWantBytes(id, static_cast<uint32_t>(i))));
  }

  files.AwaitReads(5);
  EXPECT_LT(files.reads(), wanted);
  for (int i = 0; i < wanted; ++i) ASSERT_TRUE(stream.Read());
  EXPECT_EQ(files.reads(), wanted);
}

TEST(Blocks, RefuseWhatTheDispatcherSheds) {
  MemoryFiles files;
  Gate gate;
  const FileId id = files.Add(std::string(3 * kBlockSizeMin, 'x'));
  files.BeforeRead([&](uint32_t) { return gate.Pass(); });
  DispatcherOptions dispatcher;
  dispatcher.classes[static_cast<int>(WorkClass::kBulk)] = {.threads = 1, .queue_max = 1};
  StreamPeer source({.files = &files, .dispatcher = dispatcher});
  StreamPeer readers[3];
  Received first;
  Received others;
  std::vector<std::unique_ptr<BlocksStream>> streams;
  for (int i = 0; i < 3; ++i) {
    streams.push_back(OpenStream(readers[i], source.contact(), i == 0 ? first : others));
    ASSERT_TRUE(streams[i]->WantBlock(id, 0, kBlockSizeMin));
    if (i == 0) gate.AwaitOne();
  }

  // One is being read, one waits in the queue, one is refused.
  ASSERT_TRUE(others.WaitFor(1));
  EXPECT_EQ(others.refusals(), (std::vector<std::string>{"0 OVERLOADED"}));
  gate.Open();

  EXPECT_TRUE(first.WaitFor(1));
  EXPECT_TRUE(others.WaitFor(2));
  EXPECT_TRUE(streams[1]->WantBlock(id, 1, kBlockSizeMin));
  EXPECT_TRUE(others.WaitFor(3));
  EXPECT_TRUE(streams[2]->WantBlock(id, 1, kBlockSizeMin));
  EXPECT_TRUE(others.WaitFor(4));
}

TEST(Blocks, ServeAsManyStreamsOfAPeerAsTheLimitAndNotOneMore) {
  MemoryFiles files;
  const FileId id = files.Add("small");
  StreamPeer source({.files = &files, .blocks_server = {.streams_per_peer_max = 2}});
  StreamPeer reader;
  Received received[3];
  std::vector<std::unique_ptr<BlocksStream>> streams;
  for (int i = 0; i < 2; ++i) {
    streams.push_back(OpenStream(reader, source.contact(), received[i]));
    ASSERT_TRUE(streams[i]->WantManifest(id));
    ASSERT_TRUE(received[i].WaitFor(1));
  }

  streams.push_back(OpenStream(reader, source.contact(), received[2]));

  EXPECT_EQ(ReasonOf(received[2].WaitClosed()), ErrorReason::kOverloaded);
  EXPECT_EQ(source.blocks_server().streams(), 2u);
}

TEST(Blocks, ServeAsManyStreamsInAllAsTheLimitAndNotOneMore) {
  MemoryFiles files;
  const FileId id = files.Add("small");
  StreamPeer source({.files = &files, .blocks_server = {.streams_max = 2}});
  StreamPeer readers[3];
  Received received[3];
  std::vector<std::unique_ptr<BlocksStream>> streams;
  for (int i = 0; i < 2; ++i) {
    streams.push_back(OpenStream(readers[i], source.contact(), received[i]));
    ASSERT_TRUE(streams[i]->WantManifest(id));
    ASSERT_TRUE(received[i].WaitFor(1));
  }

  streams.push_back(OpenStream(readers[2], source.contact(), received[2]));

  EXPECT_EQ(ReasonOf(received[2].WaitClosed()), ErrorReason::kOverloaded);
  EXPECT_EQ(source.blocks_server().streams(), 2u);
}

TEST(Blocks, OpenAsManySourcesAsTheLimitAndNotOneMore) {
  MemoryFiles files;
  StreamPeer source({.files = &files, .blocks_server = {.streams_per_peer_max = 1000}});
  StreamPeer reader;
  Received received;
  std::vector<std::unique_ptr<BlocksStream>> streams;
  for (int i = 0; i < kBlockSourcesMax; ++i) {
    streams.push_back(OpenStream(reader, source.contact(), received));
  }

  auto beyond = reader.blocks().Open(source.contact(), received.events());

  EXPECT_EQ(ReasonOf(beyond.status()), ErrorReason::kOverloaded);
}

// --- Sources that fail or break the protocol ----------------------------------------------------

TEST(Blocks, SayWhyASourceIsGone) {
  MemoryFiles files;
  Gate gate;
  const FileId id = files.Add(std::string(kBlockSizeMin, 'x'));
  files.BeforeRead([&](uint32_t) { return gate.Pass(); });
  StreamPeer source({.files = &files});
  StreamPeer reader;
  Received received;
  auto stream = OpenStream(reader, source.contact(), received);
  ASSERT_TRUE(stream->WantBlock(id, 0, kBlockSizeMin));
  gate.AwaitOne();

  gate.Open();
  source.Stop();

  EXPECT_EQ(received.WaitClosed().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(stream->WantBlock(id, 1, kBlockSizeMin));  // Nothing comes of it.
  Received dead;
  auto late = OpenStream(reader, source.contact(), dead);
  EXPECT_EQ(ReasonOf(dead.WaitClosed()), ErrorReason::kPeerUnreachable);
  Received other;
  auto wrong =
      OpenStream(reader, {Identity::Generate().peer_id(), reader.contact().addresses}, other);
  EXPECT_EQ(ReasonOf(other.WaitClosed()), ErrorReason::kPeerIdMismatch);
}

TEST(Blocks, TryTheNextAddressOfASource) {
  MemoryFiles files;
  const FileId id = files.Add("small");
  StreamPeer source({.files = &files});
  PeerContact contact = source.contact();
  {
    StreamPeer gone;
    contact.addresses.insert(contact.addresses.begin(), gone.contact().addresses[0]);
  }
  StreamPeer reader;
  Received received;
  auto stream = OpenStream(reader, contact, received);

  ASSERT_TRUE(stream->WantManifest(id));

  ASSERT_TRUE(received.WaitFor(1));
  EXPECT_EQ(received.ManifestOfFile(id).inline_content, "small");
}

// Answers the first want with messages that were prepared.
class ScriptedSource final : public grpc::ServerGenericBidiReactor {
 public:
  explicit ScriptedSource(std::vector<std::string> script) {
    for (const std::string& message : script) script_.push_back(ToByteBuffer(message));
    StartSendInitialMetadata();
    StartRead(&incoming_);
  }

 private:
  void OnReadDone(bool ok) override { ok ? Next() : Finish(grpc::Status::OK); }

  void OnWriteDone(bool ok) override { ok ? Next() : Finish(grpc::Status::OK); }

  void OnCancel() override {}

  void OnDone() override { delete this; }

  void Next() {
    if (script_.empty()) {
      StartRead(&incoming_);
      return;
    }
    outgoing_ = script_.front();
    script_.pop_front();
    StartWrite(&outgoing_);
  }

  std::deque<grpc::ByteBuffer> script_;
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;
};

std::string Chunk(uint32_t index, uint32_t offset, size_t size, bool last) {
  v1::BlocksResponse response;
  v1::BlockChunk* chunk = response.mutable_chunk();
  chunk->set_file_id(FileId().ToBytes());
  chunk->set_index(index);
  chunk->set_offset_bytes(offset);
  chunk->set_data(std::string(size, 'x'));
  chunk->set_last(last);
  return response.SerializeAsString();
}

struct Hostile {
  std::string name;
  std::vector<std::string> script;
};

// Block 0 of 300,000 bytes is wanted.
std::vector<Hostile> HostileScripts() {
  v1::BlocksResponse manifest;
  manifest.mutable_manifest()->set_file_id(FileId().ToBytes());
  v1::BlocksResponse refusal;
  refusal.mutable_refusal()->set_file_id(FileId().ToBytes());
  refusal.mutable_refusal()->set_index(1);
  v1::BlocksResponse long_reason;
  long_reason.mutable_refusal()->set_file_id(FileId().ToBytes());
  long_reason.mutable_refusal()->set_reason(std::string(65, 'R'));
  return {
      {"answer of no kind", {std::string()}},
      {"block that was not wanted", {Chunk(1, 0, 10, true)}},
      {"manifest that was not wanted", {manifest.SerializeAsString()}},
      {"refusal that was not wanted", {refusal.SerializeAsString()}},
      {"reason too long", {long_reason.SerializeAsString()}},
      {"first chunk not at the beginning", {Chunk(0, 1, 10, false)}},
      {"chunks out of order", {Chunk(0, 0, 10, false), Chunk(0, 20, 10, false)}},
      {"chunk of no bytes", {Chunk(0, 0, 0, false)}},
      {"block too short", {Chunk(0, 0, 299'999, true)}},
      {"block too long", {Chunk(0, 0, 300'001, true)}},
      {"block too long in two chunks", {Chunk(0, 0, 299'999, false), Chunk(0, 299'999, 2, true)}},
      {"chunk above the limit", {Chunk(0, 0, kBlockChunkSizeMax + 1, false)}},
      {"answered twice", {Chunk(0, 0, 300'000, true), Chunk(0, 0, 300'000, true)}},
  };
}

TEST(Blocks, CloseTheStreamToASourceThatBreaksTheProtocol) {
  for (const Hostile& hostile : HostileScripts()) {
    StreamPeer source({.blocks = [&](grpc::GenericCallbackServerContext&, const CredentialPtr&) {
      return new ScriptedSource(hostile.script);
    }});
    StreamPeer reader;
    Received received;
    auto stream = OpenStream(reader, source.contact(), received);
    ASSERT_TRUE(stream->WantBlock(FileId(), 0, 300'000));

    EXPECT_EQ(ReasonOf(received.WaitClosed()), ErrorReason::kFrameInvalid) << hostile.name;
    stream.reset();
  }
}

TEST(Blocks, WantNothingOfASourceThatDoesNotShowThatItIsOfTheMesh) {
  StreamPeer reader;
  const Identity identity = Identity::Generate();
  for (const BadAcceptor& bad : BadAcceptors(identity)) {
    RawAcceptor source(identity, bad.metadata, Chunk(0, 0, 10, /*last=*/true));
    Received received;
    auto stream = OpenStream(reader, source.contact(), received);
    ASSERT_TRUE(stream->WantBlock(FileId(), 0, 10));

    EXPECT_EQ(ReasonOf(received.WaitClosed()), bad.reason) << bad.name;
    EXPECT_EQ(received.count(), 1) << bad.name;  // No block came.
    EXPECT_EQ(source.messages(), 0) << bad.name;
  }
}

TEST(Blocks, TakeAChunkOfTheLargestSize) {
  StreamPeer source({.blocks = [&](grpc::GenericCallbackServerContext&, const CredentialPtr&) {
    return new ScriptedSource({Chunk(0, 0, kBlockChunkSizeMax, true)});
  }});
  StreamPeer reader;
  Received received;
  auto stream = OpenStream(reader, source.contact(), received);
  ASSERT_TRUE(stream->WantBlock(FileId(), 0, kBlockChunkSizeMax));

  ASSERT_TRUE(received.WaitFor(1));
  EXPECT_EQ(received.Block(FileId(), 0).size(), kBlockChunkSizeMax);
}

// --- The end of a stream ------------------------------------------------------------------------

TEST(Blocks, BringNoEventAfterTheStreamIsFreedAtARandomMoment) {
  MemoryFiles files;
  const FileId id = files.Add(std::string(20 * kBlockSizeMin, 'x'));
  StreamPeer source({.files = &files, .blocks_server = {.streams_per_peer_max = 1000}});
  StreamPeer reader;
  Received kept_received;
  // Keeps the connection, so that most of the time goes into what is tested.
  auto kept = OpenStream(reader, source.contact(), kept_received);
  Random random(20'260'101);

  for (int i = 0; i < 1000; ++i) {
    auto seen = std::make_unique<EventCount>();
    EventCount* count = seen.get();
    BlocksEvents events;
    events.on_manifest = [count](ManifestAnswer) { count->Add(); };
    events.on_block = [count](FileId, uint32_t, std::string) { count->Add(); };
    events.on_refused = [count](FileId, bool, uint32_t, std::string) { count->Add(); };
    events.on_closed = [count](absl::Status) { count->Add(); };
    auto stream = reader.blocks().Open(source.contact(), std::move(events));
    // Streams that were freed may take a moment to end.
    if (!stream.ok()) continue;
    const uint64_t wants = random.Below(4);
    for (uint32_t w = 0; w < wants; ++w) ASSERT_TRUE((*stream)->WantBlock(id, w, kBlockSizeMin));
    count->WaitFor(static_cast<int>(random.Below(4)), absl::Microseconds(random.Below(10'000)));

    stream->reset();
    seen.reset();  // An event that came now would write to freed memory.
  }
}

TEST(Blocks, MayBeFreedByTheirOwnEvent) {
  MemoryFiles files;
  const FileId id = files.Add("small");
  // Streams that were freed end there a moment later.
  StreamPeer source({.files = &files, .blocks_server = {.streams_per_peer_max = 1000}});
  StreamPeer reader;
  for (int i = 0; i < 20; ++i) {
    std::unique_ptr<BlocksStream> stream;
    Signal freed;
    Signal opened;
    BlocksEvents events;
    events.on_manifest = [&](ManifestAnswer) {
      opened.Wait();
      stream.reset();
      freed.Set();
    };
    events.on_block = [](FileId, uint32_t, std::string) {};
    events.on_refused = [](FileId, bool, uint32_t, std::string) {};
    events.on_closed = [&](const absl::Status& why) {
      ADD_FAILURE() << "event after the end: " << why;
    };
    stream = std::move(*reader.blocks().Open(source.contact(), events));
    ASSERT_TRUE(stream->WantManifest(id));
    opened.Set();
    ASSERT_TRUE(freed.Wait());
  }
}

}  // namespace
}  // namespace panal
