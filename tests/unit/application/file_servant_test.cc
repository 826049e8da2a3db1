#include "server/application/file_servant.h"

#include <string>
#include <vector>

#include "common/wire/status_codec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/application/servant_world.h"

namespace panal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::Return;
using ::testing::SizeIs;

std::string Method(const std::string& name) { return "/panal.v1.FileObject/" + name; }

class FileServantTest : public ServantWorld {
 protected:
  FileServantTest() {
    EXPECT_TRUE(router
                    .Add(std::make_shared<FileServant>(dispatcher, files, catalog, mesh,
                                                       std::vector<std::string>{"/srv"}))
                    .ok());
  }

  std::vector<v1::ReadFileResponse> Read(const FileId& id, int64_t offset, int64_t length) {
    v1::ReadFileRequest request;
    request.set_id(id.ToText());
    request.set_offset(offset);
    request.set_length(length);
    auto call = Begin(Method("ReadFile"), request);
    EXPECT_TRUE(call->status().ok()) << call->status();
    return call->Messages<v1::ReadFileResponse>();
  }

  std::shared_ptr<FakeCall> BeginUpload() {
    auto call = MakeCall(Method("UploadFile"));
    router.Route(call);
    return call;
  }

  static v1::UploadFileRequest Start(const std::string& name, int64_t size, bool entry = false) {
    v1::UploadFileRequest request;
    request.mutable_start()->set_name(name);
    request.mutable_start()->set_size_bytes(size);
    request.mutable_start()->set_directory_entry(entry);
    return request;
  }

  static v1::UploadFileRequest Chunk(int64_t offset, const std::string& data) {
    v1::UploadFileRequest request;
    request.mutable_chunk()->set_offset_bytes(offset);
    request.mutable_chunk()->set_data(data);
    return request;
  }

  static v1::UploadFileRequest Finish() {
    v1::UploadFileRequest request;
    request.mutable_finish();
    return request;
  }

  static v1::UploadFileRequest FinishDirectory(const std::string& name) {
    v1::UploadFileRequest request;
    request.mutable_finish_directory()->set_name(name);
    return request;
  }

  // Sends the parts and half closes; the reason of the outcome, or OK.
  std::string Upload(const std::vector<v1::UploadFileRequest>& parts) {
    auto call = BeginUpload();
    for (const auto& part : parts) call->CallerSends(part);
    call->CallerHalfCloses();
    return call->status().ok() ? "OK" : std::string(ReasonName(ReasonOf(call->status())));
  }

  v1::FetchFileRequest FetchRequest() {
    v1::FetchFileRequest request;
    request.set_id(files.Add("known", "known content").ToText());
    return request;
  }
};

TEST_F(FileServantTest, PutsAFileAndHasItSpread) {
  v1::PutFileRequest request;
  request.set_name("notes.txt");
  request.set_content("hello");
  (*request.mutable_attributes())["lang"] = "en";

  const auto response = Ask<v1::PutFileResponse>(Method("PutFile"), request);

  EXPECT_EQ(response.size_bytes(), 5);
  const FileId id = *FileId::FromText(response.id());
  EXPECT_EQ(files.files.at(id).content, "hello");
  EXPECT_THAT(files.files.at(id).details.attributes, ElementsAre(Pair("lang", "en")));
  EXPECT_EQ(mesh.changes_spread, 1);
  EXPECT_THAT(dispatcher.classes, ElementsAre(WorkClass::kBulk));
}

TEST_F(FileServantTest, PassesTheStoresRefusalOn) {
  files.failure = Error(ErrorReason::kStorageFull, "full");

  EXPECT_EQ(Refusal(Method("PutFile"), v1::PutFileRequest()), "STORAGE_FULL");
  EXPECT_EQ(mesh.changes_spread, 0);
}

TEST_F(FileServantTest, AddsAPathBelowItsRoots) {
  v1::AddPathRequest request;
  request.set_path("/srv/data");
  request.set_name("data");
  request.set_in_place(true);

  const auto response = Ask<v1::AddPathResponse>(Method("AddPath"), request);

  EXPECT_THAT(files.added_paths, ElementsAre("/srv/data"));
  EXPECT_THAT(files.added_roots, ElementsAre("/srv"));
  EXPECT_EQ(response.name(), "data");
  EXPECT_EQ(response.files(), 2);
  EXPECT_THAT(response.skipped(), ElementsAre("socket: skipped"));
  EXPECT_EQ(mesh.changes_spread, 1);
}

TEST_F(FileServantTest, RefusesAPathThatIsNotAbsolute) {
  v1::AddPathRequest request;
  request.set_path("data");

  auto call = Begin(Method("AddPath"), request);

  ASSERT_THAT(FieldViolationsOf(call->status()), SizeIs(1));
  EXPECT_EQ(FieldViolationsOf(call->status())[0].field, "path");
}

TEST_F(FileServantTest, StopsAddingAPathWhenTheCallerCancels) {
  v1::AddPathRequest request;
  request.set_path("/srv/data");
  auto call = MakeCall(Method("AddPath"));
  router.Route(call);
  files.on_add_path = [&] { call->CallerCancels(); };

  call->CallerSends(request);

  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kCancelled);
  EXPECT_THAT(files.files, IsEmpty());
}

// While one path is added others wait in line, as many as the limit.
TEST_F(FileServantTest, AddsOnePathAtATimeAndRefusesBeyondItsLimit) {
  v1::AddPathRequest request;
  request.set_path("/srv/data");
  std::vector<std::shared_ptr<FakeCall>> waiting;
  std::shared_ptr<FakeCall> refused;
  // The dispatcher of the test has one thread: the others' handlers run from within the first one.
  InlineDispatcher second;
  auto again =
      std::make_shared<FileServant>(second, files, catalog, mesh, std::vector<std::string>{"/srv"});
  auto first = MakeCall("AddPath");
  int running = 0;
  int running_max = 0;
  files.on_add_path = [&] {
    running_max = std::max(running_max, ++running);
    if (waiting.empty()) {
      second.Nested([&] {
        for (size_t i = 0; i <= kAddPathsWaitingMax; ++i) {
          auto call = MakeCall("AddPath");
          ASSERT_TRUE(again->Serve("AddPath", call));
          waiting.push_back(call);
          call->CallerSends(request);
        }
      });
      refused = waiting.back();
      EXPECT_EQ(ReasonOf(refused->status()), ErrorReason::kOverloaded);
      EXPECT_FALSE(waiting[0]->result.has_value());
    }
    --running;
  };

  ASSERT_TRUE(again->Serve("AddPath", first));
  first->CallerSends(request);

  EXPECT_TRUE(first->status().ok());
  EXPECT_EQ(running_max, 1);
  EXPECT_THAT(files.added_paths, SizeIs(kAddPathsWaitingMax + 1));
  for (size_t i = 0; i < kAddPathsWaitingMax; ++i) EXPECT_TRUE(waiting[i]->status().ok());
}

TEST_F(FileServantTest, UploadsAFile) {
  auto call = BeginUpload();
  for (const auto& part : {Start("a.txt", 6), Chunk(0, "abc"), Chunk(3, "def"), Finish()}) {
    call->CallerSends(part);
  }
  call->CallerHalfCloses();

  const auto responses = call->Messages<v1::UploadFileResponse>();
  ASSERT_THAT(responses, SizeIs(1));
  EXPECT_EQ(responses[0].name(), "a.txt");
  EXPECT_EQ(responses[0].size_bytes(), 6);
  EXPECT_EQ(responses[0].files(), 1);
  EXPECT_EQ(files.files.at(*FileId::FromText(responses[0].id())).content, "abcdef");
  EXPECT_EQ(mesh.changes_spread, 1);
}

TEST_F(FileServantTest, UploadsADirectory) {
  v1::UploadFileRequest empty = Start("empty", 0, /*entry=*/true);
  empty.mutable_start()->set_is_directory(true);

  EXPECT_EQ(Upload({Start("a", 1, true), Chunk(0, "x"), Finish(), empty, Start("b", 0, true),
                    Finish(), empty, Finish(), FinishDirectory("tree")}),
            "OK");

  EXPECT_THAT(files.directory_entries, ElementsAre("a", "empty/", "b", "empty/"));
  EXPECT_EQ(mesh.changes_spread, 1);
}

TEST_F(FileServantTest, UploadsAnEmptyFile) { EXPECT_EQ(Upload({Start("a", 0), Finish()}), "OK"); }

TEST_F(FileServantTest, RefusesPartsOutOfOrder) {
  const std::vector<std::vector<v1::UploadFileRequest>> cases = {
      {Chunk(0, "x")},
      {Finish()},
      {Start("a", 1), Start("b", 1)},
      {Start("a", 1), Chunk(1, "x")},
      {Start("a", 1), Chunk(-1, "x")},
      {Start("a", 0), Finish(), Start("b", 0)},
      {Start("a", 0), Finish(), FinishDirectory("d")},
      {Start("a", 0, true), Finish(), Start("b", 0)},
      {Start("a", 1, true), FinishDirectory("d")},
      {FinishDirectory("d"), FinishDirectory("d")},
  };
  for (size_t i = 0; i < cases.size(); ++i) EXPECT_EQ(Upload(cases[i]), "CHUNK_OUT_OF_ORDER") << i;
}

TEST_F(FileServantTest, RefusesAnUploadThatEndsEarly) {
  EXPECT_EQ(Upload({}), "UPLOAD_INCOMPLETE");
  EXPECT_EQ(Upload({Start("a", 3), Chunk(0, "x")}), "UPLOAD_INCOMPLETE");
  EXPECT_EQ(Upload({Start("a", 3), Chunk(0, "x"), Finish()}), "UPLOAD_INCOMPLETE");
  EXPECT_EQ(Upload({Start("a", 0, true), Finish()}), "UPLOAD_INCOMPLETE");
  EXPECT_EQ(mesh.changes_spread, 0);
}

TEST_F(FileServantTest, RefusesPartsThatAreOutOfRange) {
  v1::UploadFileRequest not_empty = Start("d", 1, true);
  not_empty.mutable_start()->set_is_directory(true);
  constexpr int64_t kTiB = int64_t{1} << 40;

  EXPECT_EQ(Upload({Start("a", -1)}), "ARGUMENT_INVALID");
  EXPECT_EQ(Upload({Start("a", kTiB + 1)}), "ARGUMENT_INVALID");
  EXPECT_EQ(Upload({Start("a", kTiB)}), "UPLOAD_INCOMPLETE") << "the largest size is taken";
  EXPECT_EQ(Upload({not_empty}), "ARGUMENT_INVALID");
  EXPECT_EQ(Upload({v1::UploadFileRequest()}), "ARGUMENT_INVALID");
  EXPECT_EQ(Upload({Start("a", 2 << 20), Chunk(0, std::string((1 << 20) + 1, 'x'))}),
            "ARGUMENT_INVALID");
}

TEST_F(FileServantTest, TakesAsManyUploadsAsItsLimitAndRefusesOneMore) {
  std::vector<std::shared_ptr<FakeCall>> calls;
  for (int i = 0; i < kUploadsMax; ++i) calls.push_back(BeginUpload());
  EXPECT_FALSE(calls.back()->result.has_value());

  EXPECT_EQ(ReasonOf(BeginUpload()->status()), ErrorReason::kOverloaded);

  for (auto& call : calls) call->CallerCancels();
  EXPECT_EQ(Upload({Start("a", 0), Finish()}), "OK");
}

TEST_F(FileServantTest, ListsWhatThePeerPublishesInPages) {
  const FileId id = files.Add("first name", "abc");
  PublishedFile file{.name = "a.txt", .id = id, .size_bytes = 3, .attributes = {{"lang", "en"}}};
  PublishedFile next = file;
  next.name = "b.txt";
  const std::string after_first = PositionAfter(file);
  EXPECT_CALL(catalog, ListPublished(absl::string_view(), 2, true))
      .WillOnce(Return(std::vector<PublishedFile>{file, next}));
  EXPECT_CALL(catalog, ListPublished(absl::string_view(after_first), 2, true))
      .WillOnce(Return(std::vector<PublishedFile>{next}));
  v1::ListFilesRequest request;
  request.set_page_size(1);
  request.set_recursive(true);

  const auto first = Ask<v1::ListFilesResponse>(Method("ListFiles"), request);
  request.set_page_token(first.next_page_token());
  const auto second = Ask<v1::ListFilesResponse>(Method("ListFiles"), request);

  ASSERT_THAT(first.files(), SizeIs(1));
  EXPECT_EQ(first.files(0).name(), "a.txt") << "as published, not the content's first name";
  EXPECT_EQ(first.files(0).attributes().at("lang"), "en");
  EXPECT_EQ(first.files(0).held_bytes(), 3);
  ASSERT_THAT(second.files(), SizeIs(1));
  EXPECT_EQ(second.files(0).name(), "b.txt");
  EXPECT_EQ(second.next_page_token(), "");
  request.set_recursive(false);
  EXPECT_EQ(Refusal(Method("ListFiles"), request), "PAGE_TOKEN_INVALID");
}

TEST_F(FileServantTest, DescribesAFileByAPrefixOfItsId) {
  const FileId id = files.Add("a.txt", "abc");
  v1::GetFileRequest request;
  request.set_id(id.ToText().substr(0, 4));

  const auto response = Ask<v1::GetFileResponse>(Method("GetFile"), request);

  EXPECT_EQ(response.file().id(), id.ToText());
  EXPECT_EQ(response.file().kind(), "file");
  EXPECT_EQ(response.file().size_bytes(), 3);
  EXPECT_EQ(response.file().blocks(), 1);
  EXPECT_EQ(response.file().block_size_bytes(), 256 * 1024);
  EXPECT_EQ(response.file().storage(), "stored");
}

TEST_F(FileServantTest, RefusesIdsThatAreWrongOrUnknown) {
  v1::GetFileRequest wrong;
  wrong.set_id("AB");
  v1::RemoveFileRequest unknown;
  unknown.set_id("aaaa");

  EXPECT_EQ(Refusal(Method("GetFile"), wrong), "FILE_ID_INVALID");
  EXPECT_EQ(Refusal(Method("RemoveFile"), unknown), "FILE_NOT_FOUND");
}

TEST_F(FileServantTest, ListsADirectoryInPagesReadingItOnce) {
  const FileId id = files.Add("dir", "listing");
  for (const char* name : {"a", "b", "c"}) {
    files.listing.push_back({.name = name, .type = FileType::kFile, .size_bytes = 1, .id = id});
  }
  v1::ListDirectoryRequest request;
  request.set_id(id.ToText());
  request.set_page_size(2);

  const auto first = Ask<v1::ListDirectoryResponse>(Method("ListDirectory"), request);
  request.set_page_token(first.next_page_token());
  const auto second = Ask<v1::ListDirectoryResponse>(Method("ListDirectory"), request);

  EXPECT_THAT(first.entries(), SizeIs(2));
  ASSERT_THAT(second.entries(), SizeIs(1));
  EXPECT_EQ(second.entries(0).name(), "c");
  EXPECT_EQ(second.next_page_token(), "");
  EXPECT_EQ(files.listings_read, 1);
}

TEST_F(FileServantTest, SaysTheSizeOfWhatIsBelowADirectoryWhereItIsPublished) {
  const FileId id = files.Add("dir", "listing");
  const FileId published = files.Add("published", "entries");
  const FileId fetched = files.Add("fetched", "other entries");
  files.listing = {{.name = "a", .type = FileType::kFile, .size_bytes = 1, .id = id},
                   {.name = "b", .type = FileType::kDirectory, .size_bytes = 7, .id = published},
                   {.name = "c", .type = FileType::kDirectory, .size_bytes = 13, .id = fetched}};
  EXPECT_CALL(catalog, FindPublished(published))
      .WillOnce(Return(std::vector<PublishedFile>{{.id = published, .total_bytes = 400}}));
  EXPECT_CALL(catalog, FindPublished(fetched)).WillOnce(Return(std::vector<PublishedFile>{}));
  v1::ListDirectoryRequest request;
  request.set_id(id.ToText());

  const auto listed = Ask<v1::ListDirectoryResponse>(Method("ListDirectory"), request);

  ASSERT_THAT(listed.entries(), SizeIs(3));
  EXPECT_FALSE(listed.entries(0).has_total_bytes());
  EXPECT_EQ(listed.entries(1).size_bytes(), 7);
  EXPECT_EQ(listed.entries(1).total_bytes(), 400);
  EXPECT_FALSE(listed.entries(2).has_total_bytes());
}

TEST_F(FileServantTest, RefusesToListWhatIsNoDirectory) {
  const FileId id = files.Add("file", "content");
  files.failure = Error(ErrorReason::kListingInvalid, "no listing");
  v1::ListDirectoryRequest request;
  request.set_id(id.ToText());

  EXPECT_EQ(Refusal(Method("ListDirectory"), request), "LISTING_INVALID");
}

TEST_F(FileServantTest, ReadsAFileInChunksThatEndAtBoundaries) {
  std::string content(3 * kReadChunkSizeMax + 5, 'x');
  content[kReadChunkSizeMax] = 'y';
  const FileId id = files.Add("big", content);

  const auto chunks = Read(id, 10, 0);

  EXPECT_THAT(
      files.reads,
      ElementsAre(Pair(10u, kReadChunkSizeMax - 10), Pair(kReadChunkSizeMax, kReadChunkSizeMax),
                  Pair(2 * kReadChunkSizeMax, kReadChunkSizeMax), Pair(3 * kReadChunkSizeMax, 5u)));
  std::string read;
  for (const auto& chunk : chunks) {
    EXPECT_EQ(chunk.offset_bytes(), static_cast<int64_t>(10 + read.size()));
    read += chunk.data();
  }
  EXPECT_EQ(read, content.substr(10));
}

TEST_F(FileServantTest, ReadsRangesAtTheEdges) {
  const FileId id = files.Add("small", "abcdef");

  EXPECT_EQ(Read(id, 2, 3).at(0).data(), "cde");
  EXPECT_EQ(Read(id, 2, 100).at(0).data(), "cdef");
  EXPECT_EQ(Read(id, 6, 0).at(0).data(), "");
  EXPECT_THAT(Read(id, 6, 0), SizeIs(1));
}

TEST_F(FileServantTest, ReadsAnEmptyFileAsOneMessageWithoutBytes) {
  const auto chunks = Read(files.Add("empty", ""), 0, 0);

  ASSERT_THAT(chunks, SizeIs(1));
  EXPECT_EQ(chunks[0].data(), "");
}

TEST_F(FileServantTest, ReadsTheNextChunkOnlyWhenTheOneBeforeWasTaken) {
  const FileId id = files.Add("big", std::string(3 * kReadChunkSizeMax, 'x'));
  v1::ReadFileRequest request;
  request.set_id(id.ToText());

  auto call = Begin(Method("ReadFile"), request, /*hold_writes=*/true);
  EXPECT_THAT(files.reads, SizeIs(1));
  call->CompleteWrite();
  EXPECT_THAT(files.reads, SizeIs(2));
  call->CallerCancels();
  call->CompleteWrite(/*ok=*/false);

  EXPECT_THAT(files.reads, SizeIs(2));
}

TEST_F(FileServantTest, RefusesRangesThatAreWrong) {
  const FileId id = files.Add("small", "abc");
  v1::ReadFileRequest beyond;
  beyond.set_id(id.ToText());
  beyond.set_offset(4);
  v1::ReadFileRequest negative;
  negative.set_id(id.ToText());
  negative.set_offset(-1);
  negative.set_length(-1);

  EXPECT_EQ(Refusal(Method("ReadFile"), beyond), "RANGE_INVALID");
  EXPECT_THAT(FieldViolationsOf(Begin(Method("ReadFile"), negative)->status()), SizeIs(2));
}

TEST_F(FileServantTest, RefusesToReadAFileThatIsNotHeldWhole) {
  const FileId id = files.Add("", "abc");
  files.files[id].details.complete = false;
  v1::ReadFileRequest request;
  request.set_id(id.ToText());

  EXPECT_EQ(Refusal(Method("ReadFile"), request), "FILE_INCOMPLETE");
}

TEST_F(FileServantTest, EndsAReadByTheErrorOfTheStore) {
  const FileId id = files.Add("bad", "abc");
  files.read_failure = Error(ErrorReason::kFileChanged, "block 0");
  v1::ReadFileRequest request;
  request.set_id(id.ToText());

  EXPECT_EQ(Refusal(Method("ReadFile"), request), "FILE_CHANGED");
  EXPECT_EQ(mesh.fetches, 0);
}

TEST_F(FileServantTest, FetchesADamagedFileAnewAndReadsOn) {
  const FileId id = files.Add("bad", "abc");
  v1::ReadFileRequest request;
  request.set_id(id.ToText());
  for (ErrorReason reason : {ErrorReason::kBlockCorrupt, ErrorReason::kFileIncomplete}) {
    files.read_failure = Error(reason, "block 0");

    auto call = Begin(Method("ReadFile"), request);
    EXPECT_FALSE(call->result.has_value());
    EXPECT_EQ(mesh.fetch_request.id, id);
    EXPECT_TRUE(mesh.fetch_request.repair);
    files.read_failure = absl::OkStatus();
    mesh.fetch.on_done(absl::OkStatus(), {});

    EXPECT_TRUE(call->status().ok()) << call->status();
    EXPECT_EQ(call->Messages<v1::ReadFileResponse>().at(0).data(), "abc");
  }
}

TEST_F(FileServantTest, ReadsWhatIsPublishedAndWasFoundDamagedBefore) {
  const FileId id = files.Add("part", "abc");
  files.files[id].details.complete = false;
  EXPECT_EQ(Read(id, 0, 0).at(0).data(), "abc");
}

TEST_F(FileServantTest, FetchesADamagedFileAnewOnceOnly) {
  const FileId id = files.Add("bad", "abc");
  files.read_failure = Error(ErrorReason::kFileIncomplete, "block 0");
  v1::ReadFileRequest request;
  request.set_id(id.ToText());
  auto call = Begin(Method("ReadFile"), request);

  mesh.fetch.on_done(Error(ErrorReason::kSourceNotFound, "nobody"), {});

  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kBlockCorrupt) << call->status();
  EXPECT_EQ(mesh.fetches, 1);
}

TEST_F(FileServantTest, DoesNotFetchWhatWasRemovedWhileItWasRead) {
  const FileId id = files.Add("gone", std::string(2 * kReadChunkSizeMax, 'x'));
  v1::ReadFileRequest request;
  request.set_id(id.ToText());
  auto call = Begin(Method("ReadFile"), request, /*hold_writes=*/true);
  files.files.erase(id);
  files.read_failure = Error(ErrorReason::kFileNotFound, "removed");

  call->CompleteWrite();

  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kFileNotFound);
  EXPECT_EQ(mesh.fetches, 0);
}

TEST_F(FileServantTest, FetchesAFileAndReportsTheEnd) {
  v1::FetchFileRequest request = FetchRequest();
  request.add_sources(TestPeer(4).ToText());
  request.set_timeout("1.5s");
  request.set_name("mine");

  auto call = Begin(Method("FetchFile"), request);
  mesh.fetch.on_progress({.held_bytes = 5, .total_bytes = 13, .waiting = "searching"});
  mesh.fetch.on_done(absl::OkStatus(),
                     {.held_bytes = 13, .total_bytes = 13, .sources = 2, .files_done = 1});

  EXPECT_EQ(mesh.fetch_request.id.ToText(), request.id());
  EXPECT_THAT(mesh.fetch_request.sources, ElementsAre(TestPeer(4)));
  EXPECT_EQ(mesh.fetch_request.timeout, absl::Milliseconds(1500));
  EXPECT_EQ(mesh.fetch_request.name, "mine");
  const auto responses = call->Messages<v1::FetchFileResponse>();
  ASSERT_THAT(responses, SizeIs(2));
  EXPECT_EQ(responses[0].held_bytes(), 5);
  EXPECT_EQ(responses[0].waiting(), "searching");
  EXPECT_FALSE(responses[0].done());
  EXPECT_EQ(responses[1].sources(), 2);
  EXPECT_TRUE(responses[1].done());
  EXPECT_TRUE(call->status().ok());
}

TEST_F(FileServantTest, FetchesAnIdThatThisPeerDoesNotKnow) {
  v1::FetchFileRequest request;
  request.set_id(std::string(51, 'b') + "a");

  auto call = Begin(Method("FetchFile"), request);

  EXPECT_EQ(mesh.fetch_request.id.ToText(), request.id());
  EXPECT_EQ(mesh.fetch_request.timeout, absl::Seconds(10));
  mesh.fetch.on_done(Error(ErrorReason::kSourceNotFound, "5 peers were asked"), {});
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kSourceNotFound);
}

TEST_F(FileServantTest, LeavesProgressOutThatASlowReaderDoesNotTake) {
  auto call = Begin(Method("FetchFile"), FetchRequest(), /*hold_writes=*/true);

  for (uint64_t i = 0; i < 1000; ++i) mesh.fetch.on_progress({.held_bytes = i});
  mesh.fetch.on_done(absl::OkStatus(), {.held_bytes = 1000});
  call->CompleteWrite();
  call->CompleteWrite();

  const auto responses = call->Messages<v1::FetchFileResponse>();
  ASSERT_THAT(responses, SizeIs(2));
  EXPECT_TRUE(responses[1].done());
}

TEST_F(FileServantTest, EndsItsInterestInAFetchWhenTheCallerCancels) {
  auto call = Begin(Method("FetchFile"), FetchRequest());

  call->CallerCancels();

  EXPECT_THAT(mesh.cancelled_fetches, ElementsAre(8));
  EXPECT_EQ(ReasonOf(call->status()), ErrorReason::kCancelled);
}

TEST_F(FileServantTest, RefusesAFetchWhoseFieldsAreOutOfRange) {
  v1::FetchFileRequest many = FetchRequest();
  for (int i = 0; i <= kFetchSourcesMax; ++i) many.add_sources(TestPeer(1).ToText());
  v1::FetchFileRequest short_id = FetchRequest();
  short_id.add_sources("abcd");
  v1::FetchFileRequest late = FetchRequest();
  late.set_timeout("10m1ms");
  v1::FetchFileRequest never = FetchRequest();
  never.set_timeout("0");
  v1::FetchFileRequest no_unit = FetchRequest();
  no_unit.set_timeout("1500");
  v1::FetchFileRequest name = FetchRequest();
  name.set_name("../up");
  v1::FetchFileRequest prefix;
  prefix.set_id("zzzz");

  EXPECT_EQ(Refusal(Method("FetchFile"), many), "ARGUMENT_INVALID");
  EXPECT_EQ(Refusal(Method("FetchFile"), short_id), "ARGUMENT_INVALID");
  EXPECT_EQ(Refusal(Method("FetchFile"), late), "ARGUMENT_INVALID");
  EXPECT_EQ(Refusal(Method("FetchFile"), never), "ARGUMENT_INVALID");
  EXPECT_EQ(Refusal(Method("FetchFile"), no_unit), "ARGUMENT_INVALID");
  EXPECT_EQ(Refusal(Method("FetchFile"), name), "FILE_NAME_INVALID");
  EXPECT_EQ(Refusal(Method("FetchFile"), prefix), "FILE_NOT_FOUND");
}

TEST_F(FileServantTest, TakesAsManySourcesAndAsMuchTimeAsItsLimits) {
  v1::FetchFileRequest request = FetchRequest();
  for (int i = 0; i < kFetchSourcesMax; ++i) request.add_sources(TestPeer(1).ToText());
  request.set_timeout("10m");

  auto call = Begin(Method("FetchFile"), request);

  EXPECT_THAT(mesh.fetch_request.sources, SizeIs(kFetchSourcesMax));
  EXPECT_EQ(mesh.fetch_request.timeout, kFetchTimeoutMax);
  mesh.fetch.on_done(absl::OkStatus(), {});
}

TEST_F(FileServantTest, RemovesAFileAndHasItSpread) {
  v1::RemoveFileRequest request;
  request.set_id(files.Add("a.txt", "abc").ToText());

  const auto response = Ask<v1::RemoveFileResponse>(Method("RemoveFile"), request);

  EXPECT_EQ(response.id(), request.id());
  EXPECT_EQ(response.files(), 1);
  EXPECT_EQ(response.freed_bytes(), 3);
  EXPECT_EQ(mesh.changes_spread, 1);
  EXPECT_EQ(Refusal(Method("RemoveFile"), request), "FILE_NOT_FOUND");
}

TEST_F(FileServantTest, LeavesTheStreamBetweenPeersOut) {
  EXPECT_EQ(Refusal(Method("Blocks"), v1::BlocksRequest()), "METHOD_NOT_FOUND");
}

}  // namespace
}  // namespace panal
