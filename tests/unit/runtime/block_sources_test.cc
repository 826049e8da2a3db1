#include "server/runtime/block_sources.h"

#include <deque>

#include "tests/unit/runtime/fetch_world.h"

namespace panal {
namespace {

// A client whose streams note what is wanted and tell what the test says.
class ScriptedClient final : public BlocksClient {
 public:
  struct Opened {
    PeerContact contact;
    BlocksEvents events;
    int room = kWantsPerStreamMax;
    std::vector<uint32_t> wanted;
    bool freed = false;
  };

  absl::StatusOr<std::unique_ptr<BlocksStream>> Open(const PeerContact& contact,
                                                     BlocksEvents events) override {
    if (!open_error.ok()) return open_error;
    streams.push_back(std::make_shared<Opened>(Opened{contact, std::move(events)}));
    return std::make_unique<Stream>(streams.back());
  }

  absl::Status open_error;
  std::vector<std::shared_ptr<Opened>> streams;

 private:
  class Stream final : public BlocksStream {
   public:
    explicit Stream(std::shared_ptr<Opened> opened) : opened_(std::move(opened)) {}

    ~Stream() override { opened_->freed = true; }

    bool WantManifest(const FileId&) override { return opened_->room-- > 0; }

    bool WantBlock(const FileId&, uint32_t index, uint32_t) override {
      if (opened_->room <= 0) return false;
      --opened_->room;
      opened_->wanted.push_back(index);
      return true;
    }

   private:
    const std::shared_ptr<Opened> opened_;
  };
};

class BlockSourcesTest : public testing::Test {
 protected:
  void SetUp() override {
    BlockSourceEvents events;
    events.on_manifest = [this](const PeerId&, ManifestAnswer) { ++manifests_; };
    events.on_refused = [this](const PeerId&, const FileId&, bool, uint32_t,
                               const std::string& reason) { refused_.push_back(reason); };
    events.on_closed = [this](const PeerId&, const std::string& why) { closed_.push_back(why); };
    events.on_block = [this](const PeerId&, const FileId&, uint32_t, std::string) { ++blocks_; };
    auto lookup = [this](const PeerId& peer,
                         std::function<void(absl::StatusOr<PeerContact>)> done) {
      lookups_.emplace_back(peer, std::move(done));
    };
    auto post = [this](std::function<void()> task) { loop_.push_back(std::move(task)); };
    sources_ = std::make_unique<BlockSources>(client_, lookup, post, std::move(events));
  }

  void Run() {
    while (!loop_.empty()) {
      std::function<void()> task = std::move(loop_.front());
      loop_.pop_front();
      task();
    }
  }

  void AnswerLookups() {
    for (auto& [peer, done] : std::exchange(lookups_, {})) done(PeerContact{peer, {"h:1"}});
    Run();
  }

  ScriptedClient client_;
  std::deque<std::function<void()>> loop_;
  std::vector<std::pair<PeerId, std::function<void(absl::StatusOr<PeerContact>)>>> lookups_;
  std::unique_ptr<BlockSources> sources_;
  const PeerId peer_ = PeerOf("p");
  const FileId file_ = catalog_test::File("f");
  int manifests_ = 0;
  int blocks_ = 0;
  std::vector<std::string> refused_;
  std::vector<std::string> closed_;
};

TEST_F(BlockSourcesTest, OpensOneStreamASourceAndSendsWhatWaited) {
  sources_->WantBlock(peer_, file_, 1, 1);
  sources_->WantBlock(peer_, file_, 2, 1);
  EXPECT_TRUE(client_.streams.empty());

  AnswerLookups();
  sources_->WantBlock(peer_, file_, 3, 1);

  ASSERT_EQ(client_.streams.size(), 1u);
  EXPECT_EQ(client_.streams[0]->contact.id, peer_);
  EXPECT_EQ(client_.streams[0]->wanted, (std::vector<uint32_t>{1, 2, 3}));
}

TEST_F(BlockSourcesTest, KeepsWhatTheStreamHasNoRoomForUntilAnAnswerComes) {
  sources_->WantBlock(peer_, file_, 0, 1);
  AnswerLookups();
  ScriptedClient::Opened& stream = *client_.streams[0];
  stream.room = 0;
  sources_->WantBlock(peer_, file_, 1, 1);
  sources_->WantBlock(peer_, file_, 2, 1);
  EXPECT_EQ(stream.wanted, std::vector<uint32_t>{0});

  stream.room = 1;
  stream.events.on_block(file_, 0, "b");
  Run();
  EXPECT_EQ(stream.wanted, (std::vector<uint32_t>{0, 1}));
  stream.room = 1;
  stream.events.on_refused(file_, false, 1, "FILE_INCOMPLETE");
  Run();
  EXPECT_EQ(stream.wanted, (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(blocks_, 1);
  EXPECT_EQ(refused_, std::vector<std::string>{"FILE_INCOMPLETE"});
}

TEST_F(BlockSourcesTest, ReportsASourceThatCannotBeFoundOrOpened) {
  sources_->WantBlock(peer_, file_, 0, 1);
  for (auto& [peer, done] : std::exchange(lookups_, {})) done(absl::NotFoundError("no such peer"));
  Run();
  client_.open_error = absl::ResourceExhaustedError("too many streams");
  sources_->WantBlock(peer_, file_, 0, 1);
  AnswerLookups();

  EXPECT_EQ(closed_, (std::vector<std::string>{"no such peer", "too many streams"}));
}

TEST_F(BlockSourcesTest, DropsEventsOfAStreamThatWasReplaced) {
  sources_->WantManifest(peer_, file_);
  AnswerLookups();
  std::shared_ptr<ScriptedClient::Opened> old = client_.streams[0];
  old->events.on_closed(absl::UnavailableError("gone"));
  old->events.on_manifest({});  // On its way when the stream is freed.
  Run();
  EXPECT_TRUE(old->freed);
  sources_->WantManifest(peer_, file_);
  AnswerLookups();
  old->events.on_closed(absl::UnavailableError("late"));
  Run();

  EXPECT_EQ(manifests_, 0);
  EXPECT_EQ(closed_, std::vector<std::string>{"gone"});
  EXPECT_FALSE(client_.streams[1]->freed);
}

TEST_F(BlockSourcesTest, ClosesWhatIsNotNeeded) {
  PeerId other = PeerOf("other");
  sources_->WantManifest(peer_, file_);
  sources_->WantManifest(other, file_);
  AnswerLookups();

  sources_->CloseUnless([&](const PeerId& source) { return source == other; });

  EXPECT_TRUE(client_.streams[0]->freed);
  EXPECT_FALSE(client_.streams[1]->freed);
  EXPECT_TRUE(closed_.empty());
  sources_->CloseAll();
  EXPECT_TRUE(client_.streams[1]->freed);
}

TEST_F(BlockSourcesTest, TakesNoHarmFromAnswersThatComeAfterItsEnd) {
  sources_->WantManifest(peer_, file_);
  auto late = std::exchange(lookups_, {});
  sources_->WantManifest(PeerOf("other"), file_);
  AnswerLookups();
  client_.streams[0]->events.on_closed(absl::UnavailableError("gone"));

  sources_.reset();
  for (auto& [peer, done] : late) done(PeerContact{peer, {"h:1"}});
  Run();

  EXPECT_EQ(client_.streams.size(), 1u);
  EXPECT_TRUE(closed_.empty());
}

}  // namespace
}  // namespace panal
