#include "server/runtime/fetcher.h"

#include "common/model/listing.h"
#include "server/runtime/fetch_task.h"
#include "tests/unit/runtime/fetch_world.h"

namespace panal {
namespace {

using FetcherTest = FetchWorld;

TEST_F(FetcherTest, FetchesAFileOfSeveralBlocksAndPublishesIt) {
  std::string bytes = BytesOf(5 * kBlockSizeMin + 7);
  FileId id = Source("a").Offer(bytes);
  Index(id, "a", "music.ogg", {{"genre", "jazz"}});

  Outcome outcome = Fetch(id);

  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(ReadAll(id), bytes);
  EXPECT_EQ(outcome.progress.held_bytes, bytes.size());
  EXPECT_EQ(outcome.progress.total_bytes, bytes.size());
  EXPECT_EQ(outcome.progress.received_bytes, bytes.size());
  EXPECT_EQ(outcome.progress.sources, 1);
  EXPECT_EQ(outcome.progress.peers_asked, 5u);
  EXPECT_EQ(outcome.progress.name, "music.ogg");
  auto published = catalog_->FindPublished(id);
  ASSERT_TRUE(published.ok() && published->size() == 1u);
  EXPECT_EQ(published->front().name, "music.ogg");
  EXPECT_EQ(published->front().attributes, (Attributes{{"genre", "jazz"}}));
  EXPECT_EQ(pages_changed_, 1);
  EXPECT_EQ(fetcher_->active(), 0);
}

TEST_F(FetcherTest, PublishesNothingThatItRepairs) {
  std::string bytes = BytesOf(3 * kBlockSizeMin);
  FileId id = Source("a").Offer(bytes);
  Index(id, "a", "theirs");
  Caller caller;
  FetchRequest request = Request(id);
  request.repair = true;

  fetcher_->Start(request, caller.Handlers());

  EXPECT_TRUE(caller.Wait().status.ok());
  EXPECT_EQ(ReadAll(id), bytes);
  EXPECT_TRUE(catalog_->FindPublished(id)->empty());
  EXPECT_EQ(pages_changed_, 0);
}

TEST_F(FetcherTest, TakesTheNameThatTheRequestGives) {
  FileId id = Source("a").Offer("small");
  Index(id, "a", "theirs");
  Caller caller;
  FetchRequest request = Request(id);
  request.name = "mine";

  fetcher_->Start(request, caller.Handlers());

  EXPECT_EQ(caller.Wait().progress.name, "mine");
}

TEST_F(FetcherTest, AsksNobodyForWhatIsHere) {
  auto added = files_->Put("here", BytesOf(1000), {});
  ASSERT_TRUE(added.ok());
  std::string large = BytesOf(2 * kBlockSizeMin);
  FileId stored = Source("a").Offer(large);
  Index(stored, "a");
  ASSERT_TRUE(Fetch(stored).status.ok());
  int asked = Source("a").manifests;
  uint64_t searched = searches_;

  EXPECT_TRUE(Fetch(added->id).status.ok());
  Outcome again = Fetch(stored);

  EXPECT_TRUE(again.status.ok());
  EXPECT_EQ(again.progress.held_bytes, large.size());
  EXPECT_EQ(again.progress.received_bytes, 0u);
  EXPECT_EQ(Source("a").manifests, asked);
  EXPECT_EQ(searches_, searched);
}

TEST_F(FetcherTest, LeavesWhatIsPublishedHereAsItIs) {
  auto added = files_->Put("mine", BytesOf(1000), {{"color", "red"}});
  Index(added->id, "a", "theirs", {{"color", "blue"}});

  EXPECT_EQ(Fetch(added->id).progress.name, "mine");

  auto published = catalog_->FindPublished(added->id);
  ASSERT_TRUE(published.ok() && published->size() == 1u);
  EXPECT_EQ(published->front().name, "mine");
  EXPECT_EQ(published->front().attributes, (Attributes{{"color", "red"}}));
}

TEST_F(FetcherTest, ReceivesMoreThanTheBufferHolds) {
  std::string bytes = BytesOf(kReceiveBufferMax + 8 * kBlockSizeMin);
  FileId id = Source("a").Offer(bytes);
  Index(id, "a");

  Outcome outcome = Fetch(id);

  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.progress.held_bytes, bytes.size());
  EXPECT_TRUE(ReadAll(id) == bytes);
}

// --- Sources that are wrong ----------------------------------------------------------------------

TEST_F(FetcherTest, DropsASourceWhoseBlocksAreCorruptAndAsksAnother) {
  std::string bytes = BytesOf(40 * kBlockSizeMin);
  FileId id = Source("bad").Offer(bytes);
  Source("good").Offer(bytes);
  Source("bad").corrupt = true;
  Index(id, "bad");
  Index(id, "good");

  Outcome outcome = Fetch(id);

  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_TRUE(ReadAll(id) == bytes);
  EXPECT_EQ(outcome.progress.sources, 1);
  EXPECT_LE(Source("bad").TimesAsked(), static_cast<size_t>(options_.wants_per_source_max));
}

TEST_F(FetcherTest, SearchesOnWhenTheOnlySourceIsCorrupt) {
  std::string bytes = BytesOf(2 * kBlockSizeMin);
  FileId id = Source("bad").Offer(bytes);
  Source("good").Offer(bytes);
  Source("bad").corrupt = true;
  Index(id, "bad");
  Caller caller;
  fetcher_->Start(Request(id), caller.Handlers());
  ASSERT_TRUE(Eventually([&] { return searches_ >= 2; }));

  Index(id, "good");

  EXPECT_TRUE(caller.Wait().status.ok());
  EXPECT_EQ(ReadAll(id), bytes);
}

TEST_F(FetcherTest, SaysWhyTheLastSourceFailed) {
  FileId id = Source("bad").Offer(BytesOf(kBlockSizeMin));
  Source("bad").corrupt = true;
  Index(id, "bad");

  Outcome outcome = Fetch(id, absl::Milliseconds(300));

  EXPECT_EQ(ReasonOf(outcome.status), ErrorReason::kSourceNotFound);
  EXPECT_NE(outcome.status.message().find("corrupt"), std::string::npos) << outcome.status;
  EXPECT_EQ(fetcher_->active(), 0);
}

TEST_F(FetcherTest, AsksAnotherSourceWhenAManifestLies) {
  std::string bytes = BytesOf(2 * kBlockSizeMin);
  FileId id = Source("bad").Offer(bytes);
  Source("bad").lies = true;
  Index(id, "bad");
  Caller caller;
  fetcher_->Start(Request(id), caller.Handlers());
  ASSERT_TRUE(Eventually([&] { return Source("bad").manifests > 0 && searches_ >= 2; }));

  Source("good").Offer(bytes);
  Index(id, "good");

  EXPECT_TRUE(caller.Wait().status.ok());
  EXPECT_EQ(ReadAll(id), bytes);
  EXPECT_EQ(Source("bad").manifests, 1);  // It is not asked again.
}

TEST_F(FetcherTest, AsksASilentSourceAgainWhenSearchFindsItAgain) {
  std::string bytes = BytesOf(2 * kBlockSizeMin);
  FileId id = Source("slow").Offer(bytes);
  Source("slow").mute_manifest = true;
  Index(id, "slow");
  Caller caller;
  fetcher_->Start(Request(id), caller.Handlers());
  ASSERT_TRUE(Eventually([&] { return Source("slow").manifests == 1; }));

  Source("slow").mute_manifest = false;
  seconds_ahead_ = 11;

  EXPECT_TRUE(caller.Wait().status.ok());
  EXPECT_EQ(Source("slow").manifests, 2);
  EXPECT_EQ(ReadAll(id), bytes);
}

TEST_F(FetcherTest, WaitsForTheOnlySourceWhileItAnswersOtherThings) {
  FileId stuck = Source("slow").Offer(BytesOf(2 * kBlockSizeMin));
  FileId other = Source("slow").Offer("small");
  Source("slow").mute_manifest_of = stuck;
  Index(stuck, "slow");
  Index(other, "slow");
  Caller caller;
  fetcher_->Start(Request(stuck, absl::Minutes(10)), caller.Handlers());
  ASSERT_TRUE(Eventually([&] { return Source("slow").manifests == 1; }));
  auto wait_for_ticks = [&](int count) {
    int end = caller.ticks() + count;
    return Eventually([&] { return caller.ticks() >= end; });
  };

  seconds_ahead_ = 5;
  ASSERT_TRUE(Fetch(other).status.ok());
  ASSERT_TRUE(wait_for_ticks(2));  // It is seen to have answered.
  seconds_ahead_ = 11;
  ASSERT_TRUE(wait_for_ticks(2));

  EXPECT_EQ(Source("slow").manifests, 2);  // One for each file: it is still waited for.
  EXPECT_EQ(searches_, 2u);
  // And given up once nothing comes: search finds it and it is asked again.
  seconds_ahead_ = 29;
  EXPECT_TRUE(Eventually([&] { return Source("slow").manifests == 3; }));
}

TEST_F(FetcherTest, AsksAnotherSourceWhenInlineContentIsWrong) {
  FileId id = Source("bad").Offer("small");
  Source("bad").corrupt = true;
  Index(id, "bad");
  Caller caller;
  fetcher_->Start(Request(id), caller.Handlers());
  ASSERT_TRUE(Eventually([&] { return searches_ >= 2; }));

  Source("good").Offer("small");
  Index(id, "good");

  EXPECT_TRUE(caller.Wait().status.ok());
  EXPECT_EQ(ReadAll(id), "small");
}

TEST_F(FetcherTest, GoesOnElsewhereWhenASourceVanishes) {
  std::string bytes = BytesOf(40 * kBlockSizeMin);
  FileId id = Source("a").Offer(bytes);
  Source("b").Offer(bytes);
  Source("a").blocks_until_closed = 3;
  Index(id, "a");
  Index(id, "b");

  Outcome outcome = Fetch(id);

  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_TRUE(ReadAll(id) == bytes);
}

TEST_F(FetcherTest, WaitsForASourceThatComesBack) {
  std::string bytes = BytesOf(20 * kBlockSizeMin);
  FileId id = Source("a").Offer(bytes);
  Source("a").blocks_until_closed = 8;
  Index(id, "a");

  Outcome outcome = Fetch(id);

  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_TRUE(ReadAll(id) == bytes);
  EXPECT_GE(Source("a").opened, 3);
}

TEST_F(FetcherTest, TakesFromEachSourceWhatItHolds) {
  std::string bytes = BytesOf(16 * kBlockSizeMin);
  FileId id = Source("even").Offer(bytes);
  Source("odd").Offer(bytes);
  Source("even").contents[id].held = std::string("\x55\x55", 2);
  Source("odd").contents[id].held = std::string("\xaa\xaa", 2);
  Index(id, "even");
  Index(id, "odd");

  Outcome outcome = Fetch(id);

  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_TRUE(ReadAll(id) == bytes);
  EXPECT_EQ(outcome.progress.sources, 2);
}

TEST_F(FetcherTest, EndsWhenAllSourcesTogetherLackABlock) {
  std::string bytes = BytesOf(2 * kBlockSizeMin);
  FileId id = Source("half").Offer(bytes);
  Source("half").contents[id].held = std::string("\x01", 1);
  Index(id, "half");

  Outcome outcome = Fetch(id, absl::Milliseconds(500));

  EXPECT_EQ(ReasonOf(outcome.status), ErrorReason::kSourceNotFound);
  EXPECT_EQ(outcome.progress.held_bytes, kBlockSizeMin);
}

// --- Sizes ---------------------------------------------------------------------------------------

TEST_F(FetcherTest, FetchesSmallAndEmptyContentsInline) {
  for (const std::string& bytes : {std::string(), std::string("small"), BytesOf(kInlineSizeMax)}) {
    FileId id = Source("a").Offer(bytes);
    Index(id, "a", absl::StrCat("f", bytes.size()));
    Outcome outcome = Fetch(id);
    ASSERT_TRUE(outcome.status.ok()) << outcome.status;
    EXPECT_EQ(ReadAll(id), bytes);
    EXPECT_EQ(outcome.progress.held_bytes, bytes.size());
  }
  EXPECT_EQ(Source("a").TimesAsked(), 0u);
}

TEST_F(FetcherTest, FetchesAFileOfExactlyOneBlock) {
  std::string bytes = BytesOf(kBlockSizeMin);
  FileId id = Source("a").Offer(bytes);
  Index(id, "a");

  EXPECT_TRUE(Fetch(id).status.ok());
  EXPECT_EQ(ReadAll(id), bytes);
  EXPECT_EQ(Source("a").blocks, 1);
}

ListingEntry Entry(const std::string& name, const FileId& id, uint64_t size,
                   FileType type = FileType::kFile) {
  return {.name = name, .type = type, .size_bytes = size, .id = id};
}

TEST_F(FetcherTest, FetchesADirectoryWithEverythingBelowItFromItsSources) {
  FakeSource& a = Source("a");
  std::string large = BytesOf(2 * kBlockSizeMin);
  std::string empty = EncodeListing({});
  std::string sub = EncodeListing(
      {Entry("large", a.Offer(large), large.size()), Entry("same", a.Offer("twice"), 5)});
  std::string top = EncodeListing(
      {Entry("empty", a.Offer(empty, FileType::kDirectory), empty.size(), FileType::kDirectory),
       Entry("one", a.Offer("twice"), 5), Entry("two", a.Offer("twice"), 5),
       Entry("sub", a.Offer(sub, FileType::kDirectory), sub.size(), FileType::kDirectory)});
  FileId id = a.Offer(top, FileType::kDirectory);
  Index(id, "a", "folder");

  Outcome outcome = Fetch(id);

  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.progress.kind, "directory");
  EXPECT_EQ(outcome.progress.files_done, 4u);
  EXPECT_EQ(outcome.progress.files_total, 4u);
  EXPECT_EQ(outcome.progress.held_bytes, large.size() + 15);
  EXPECT_EQ(outcome.progress.total_bytes, large.size() + 15);
  auto names = catalog_->ListPublished("", 100, true);
  std::vector<std::string> found;
  for (const PublishedFile& file : *names) found.push_back(file.name);
  EXPECT_EQ(found, (std::vector<std::string>{"folder", "folder/empty", "folder/one", "folder/sub",
                                             "folder/sub/large", "folder/sub/same", "folder/two"}));
  EXPECT_EQ(searches_, 1u);  // What lies below is asked from the directory's source.
}

TEST_F(FetcherTest, SearchesForAnEntryThatTheDirectorysSourceLacks) {
  FileId part = Source("b").Offer("part");
  FileId id = Source("a").Offer(EncodeListing({Entry("part", part, 4)}), FileType::kDirectory);
  Index(id, "a", "folder");
  Index(part, "b");

  Outcome outcome = Fetch(id);

  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(ReadAll(part), "part");
}

TEST_F(FetcherTest, PublishesNothingOfADirectoryThatLacksAnEntry) {
  FileId missing = ManifestOf(FileType::kFile, "nowhere").Id();
  FileId id = Source("a").Offer(EncodeListing({Entry("x", missing, 7)}), FileType::kDirectory);
  Index(id, "a", "folder");

  Outcome outcome = Fetch(id, absl::Milliseconds(500));

  EXPECT_EQ(ReasonOf(outcome.status), ErrorReason::kSourceNotFound);
  EXPECT_TRUE(catalog_->ListPublished("", 10, true)->empty());
}

TEST_F(FetcherTest, RefusesADirectoryWhoseContentIsNoListing) {
  FileId id = Source("a").Offer("no listing", FileType::kDirectory);
  Index(id, "a", "folder");

  EXPECT_EQ(ReasonOf(Fetch(id).status), ErrorReason::kListingInvalid);
}

TEST(FetchTask, BoundsTheContentsBelowADirectory) {
  FetchTask task;
  std::vector<ListingEntry> entries = {Entry("a", ManifestOf(FileType::kFile, "a").Id(), 1),
                                       Entry("b", ManifestOf(FileType::kFile, "b").Id(), 1),
                                       Entry("again", ManifestOf(FileType::kFile, "a").Id(), 1)};
  EXPECT_TRUE(task.AddEntries(entries, 2).ok());
  EXPECT_EQ(task.waiting.size(), 2u);
  EXPECT_EQ(task.files_done, 1u);
  absl::Status beyond = task.AddEntries({Entry("c", ManifestOf(FileType::kFile, "c").Id(), 1)}, 2);
  EXPECT_EQ(ReasonOf(beyond), ErrorReason::kContentTooLarge);
}

// --- Programs ------------------------------------------------------------------------------------

TEST_F(FetcherTest, LetsTwoProgramsShareOneFetch) {
  std::string bytes = BytesOf(20 * kBlockSizeMin);
  FileId id = Source("a").Offer(bytes);
  Index(id, "a");
  Caller first;
  Caller second;

  fetcher_->Start(Request(id), first.Handlers());
  fetcher_->Start(Request(id), second.Handlers());

  EXPECT_TRUE(first.Wait().status.ok());
  EXPECT_TRUE(second.Wait().status.ok());
  EXPECT_EQ(Source("a").AskedAgain(), 0u);
  EXPECT_EQ(searches_, 1u);
}

TEST_F(FetcherTest, TriesTheSourcesThatASecondProgramKnows) {
  FileId id = Source("a").Offer("content");
  summary_.recall = 0.99;  // Nobody publishes it, but not everybody was asked.
  Caller first;
  fetcher_->Start(Request(id), first.Handlers());
  ASSERT_TRUE(Eventually([&] { return searches_ >= 1; }));
  Caller second;
  FetchRequest request = Request(id);
  request.sources = {PeerOf("a"), PeerOf("self")};

  fetcher_->Start(request, second.Handlers());

  EXPECT_TRUE(first.Wait().status.ok());
  EXPECT_TRUE(second.Wait().status.ok());
}

TEST_F(FetcherTest, KeepsWhatWasFetchedWhenTheLastProgramCancels) {
  std::string bytes = BytesOf(30 * kBlockSizeMin);
  FileId id = Source("slow").Offer(bytes);
  Source("slow").contents[id].held = std::string("\xff\x00\x00\x00", 4);
  Index(id, "slow");
  summary_.recall = 0.99;
  Caller first;
  Caller second;
  uint64_t one = fetcher_->Start(Request(id), first.Handlers());
  uint64_t two = fetcher_->Start(Request(id), second.Handlers());
  ASSERT_TRUE(Eventually([&] { return first.last().held_bytes == 8 * kBlockSizeMin; }));

  fetcher_->Cancel(one);
  EXPECT_TRUE(Eventually([&] { return fetcher_->active() == 1; }));
  fetcher_->Cancel(two);
  EXPECT_TRUE(Eventually([&] { return fetcher_->active() == 0; }));
  EXPECT_FALSE(first.done());
  EXPECT_FALSE(second.done());

  Source("whole").Offer(bytes);
  Index(id, "whole");
  EXPECT_TRUE(Fetch(id).status.ok());
  EXPECT_EQ(Source("whole").blocks + Source("slow").blocks, 30);
  EXPECT_TRUE(ReadAll(id) == bytes);
}

TEST_F(FetcherTest, UsesWhatAPartialSourceGetsMeanwhile) {
  Close();
  options_.refresh_interval = absl::Milliseconds(100);
  Open();
  std::string bytes = BytesOf(30 * kBlockSizeMin);
  FakeSource& leecher = Source("leecher");
  FileId id = leecher.Offer(bytes);
  leecher.contents[id].held = std::string("\xff\x00\x00\x00", 4);
  Index(id, "leecher");
  summary_.recall = 0.99;
  Caller caller;
  fetcher_->Start(Request(id), caller.Handlers());
  ASSERT_TRUE(Eventually([&] { return caller.last().held_bytes == 8 * kBlockSizeMin; }));

  // On the thread that reads it.
  client_.reader().Post([&] { leecher.contents[id].held.clear(); });

  EXPECT_TRUE(caller.Wait().status.ok());
  EXPECT_TRUE(ReadAll(id) == bytes);
  EXPECT_EQ(leecher.blocks, 30);
}

TEST_F(FetcherTest, AsksOnlyForWhatIsMissingAfterARestart) {
  std::string bytes = BytesOf(30 * kBlockSizeMin);
  FileId id = Source("slow").Offer(bytes);
  Source("slow").contents[id].held = std::string("\xff\x00\x00\x00", 4);
  Index(id, "slow");
  summary_.recall = 0.99;
  Caller caller;
  fetcher_->Start(Request(id), caller.Handlers());
  ASSERT_TRUE(Eventually([&] { return caller.last().held_bytes == 8 * kBlockSizeMin; }));

  Close();
  EXPECT_EQ(ReasonOf(caller.Wait().status), ErrorReason::kShuttingDown);
  Open();

  Source("whole").Offer(bytes);
  Index(id, "whole");
  Outcome outcome = Fetch(id);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.progress.received_bytes, 22 * kBlockSizeMin);
  EXPECT_EQ(Source("whole").blocks + Source("slow").blocks, 30);
  EXPECT_TRUE(ReadAll(id) == bytes);
}

TEST_F(FetcherTest, RefusesNewFetchesWhileItStops) {
  absl::Notification ended;
  fetcher_->Shutdown([&] { ended.Notify(); });
  ASSERT_TRUE(ended.WaitForNotificationWithTimeout(kPatience));

  EXPECT_EQ(ReasonOf(Fetch(ManifestOf(FileType::kFile, "x").Id()).status),
            ErrorReason::kShuttingDown);
}

TEST_F(FetcherTest, SaysAtOnceThatNobodyHasTheFileWhenEverybodyWasAsked) {
  absl::Time begun = absl::Now();

  Outcome outcome = Fetch(ManifestOf(FileType::kFile, "nowhere").Id(), absl::Seconds(50));

  EXPECT_EQ(ReasonOf(outcome.status), ErrorReason::kSourceNotFound);
  EXPECT_EQ(MetadataOf(outcome.status)["peers_asked"], "5");
  EXPECT_EQ(outcome.progress.peers_asked, 5u);
  EXPECT_LT(absl::Now() - begun, absl::Seconds(25));
}

TEST_F(FetcherTest, SearchesUntilTheTimeIsUpWhenNotEverybodyWasAsked) {
  summary_.recall = 0.99;
  absl::Time begun = absl::Now();

  Outcome outcome = Fetch(ManifestOf(FileType::kFile, "nowhere").Id(), absl::Milliseconds(1500));

  EXPECT_EQ(ReasonOf(outcome.status), ErrorReason::kSourceNotFound);
  EXPECT_GE(absl::Now() - begun, absl::Milliseconds(1500));
  EXPECT_GE(searches_, 2u);
}

TEST_F(FetcherTest, WaitsForAPublisherThatWasThereBefore) {
  FileId id = Source("gone").Offer(BytesOf(kBlockSizeMin));
  Source("gone").mute = true;
  Index(id, "gone");
  Caller caller;
  absl::Time begun = absl::Now();
  fetcher_->Start(Request(id, absl::Seconds(3)), caller.Handlers());
  ASSERT_TRUE(Eventually([&] { return searches_ >= 1; }));

  Unindex(id);  // Everybody is asked, and nobody who is there now has it.

  ASSERT_TRUE(Eventually([&] { return caller.done(); }));
  EXPECT_GE(absl::Now() - begun, absl::Seconds(3));
  EXPECT_GE(searches_, 2u);
}

TEST_F(FetcherTest, DoesNotTakeItselfForASource) {
  FileId id = ManifestOf(FileType::kFile, "mine once").Id();
  Index(id, "self");

  EXPECT_EQ(ReasonOf(Fetch(id).status), ErrorReason::kSourceNotFound);
}

// --- Limits and this machine ---------------------------------------------------------------------

TEST_F(FetcherTest, RefusesOneFetchTooMany) {
  summary_.recall = 0.99;  // They all search until their time is up.
  std::vector<Caller> callers(kFetchesMax);
  for (int i = 0; i < kFetchesMax; ++i) {
    FileId id = ManifestOf(FileType::kFile, absl::StrCat(i)).Id();
    fetcher_->Start(Request(id), callers[static_cast<size_t>(i)].Handlers());
  }
  ASSERT_TRUE(Eventually([&] { return fetcher_->active() == kFetchesMax; }));

  Outcome outcome = Fetch(ManifestOf(FileType::kFile, "one more").Id());

  EXPECT_EQ(ReasonOf(outcome.status), ErrorReason::kOverloaded);
  EXPECT_TRUE(RetryAfterOf(outcome.status).has_value());
  EXPECT_EQ(fetcher_->active(), kFetchesMax);
}

TEST_F(FetcherTest, RefusesOneProgramTooMany) {
  summary_.recall = 0.99;
  FileId id = ManifestOf(FileType::kFile, "wanted").Id();
  std::vector<Caller> callers(kFetchCallersMax);
  for (Caller& caller : callers) fetcher_->Start(Request(id), caller.Handlers());

  EXPECT_EQ(ReasonOf(Fetch(id).status), ErrorReason::kOverloaded);
  for (const Caller& caller : callers) EXPECT_FALSE(caller.done());
}

TEST_F(FetcherTest, EndsWhenTheDiskIsFull) {
  Close();
  Open(/*storage_max=*/3 * kBlockSizeMin);
  FileId id = Source("a").Offer(BytesOf(8 * kBlockSizeMin));
  Index(id, "a");

  Outcome outcome = Fetch(id);

  EXPECT_EQ(ReasonOf(outcome.status), ErrorReason::kStorageFull);
  EXPECT_EQ(fetcher_->active(), 0);
}

TEST_F(FetcherTest, EndsWhenTheContentIsRemovedMeanwhile) {
  std::string bytes = BytesOf(30 * kBlockSizeMin);
  FileId id = Source("slow").Offer(bytes);
  Source("slow").contents[id].held = std::string("\xff\x00\x00\x00", 4);
  Index(id, "slow");
  summary_.recall = 0.99;
  Caller caller;
  fetcher_->Start(Request(id), caller.Handlers());
  ASSERT_TRUE(Eventually([&] { return caller.last().held_bytes == 8 * kBlockSizeMin; }));

  ASSERT_TRUE(blocks_->Remove(id).ok());
  Source("whole").Offer(bytes);
  Index(id, "whole");

  EXPECT_EQ(ReasonOf(caller.Wait().status), ErrorReason::kFileNotFound);
}

}  // namespace
}  // namespace panal
