#include "server/data/file_store/content_pins.h"

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/model/manifest.h"

namespace panal {
namespace {

const FileId kA = ManifestOf(FileType::kFile, "a").Id();
const FileId kB = ManifestOf(FileType::kFile, "b").Id();

std::vector<FileId> Freed(ContentPins& pins) {
  std::vector<FileId> freed;
  EXPECT_TRUE(pins.FreeUnpinned({kA, kB},
                                [&](const std::vector<FileId>& ids) {
                                  freed = ids;
                                  return absl::OkStatus();
                                })
                  .ok());
  return freed;
}

TEST(ContentPins, FreesOnlyWhatIsNotPinned) {
  ContentPins pins;
  {
    PinnedContents pinned(pins);
    pinned.Pin(kA);
    EXPECT_EQ(Freed(pins), std::vector<FileId>{kB});
  }
  EXPECT_EQ(Freed(pins), (std::vector<FileId>{kA, kB}));
}

TEST(ContentPins, KeepsWhatTwoPinnedUntilBothLetGo) {
  ContentPins pins;
  PinnedContents first(pins);
  first.Pin(kA);
  {
    PinnedContents second(pins);
    ASSERT_TRUE(second.PinNew([] { return absl::StatusOr<FileId>(kA); }).ok());
  }
  EXPECT_EQ(Freed(pins), std::vector<FileId>{kB});
}

TEST(ContentPins, PinsNothingWhenTheContentWasNotMade) {
  ContentPins pins;
  PinnedContents pinned(pins);

  EXPECT_FALSE(
      pinned.PinNew([] { return absl::StatusOr<FileId>(Error(ErrorReason::kStorageFull, "full")); })
          .ok());
  EXPECT_EQ(Freed(pins), (std::vector<FileId>{kA, kB}));
}

}  // namespace
}  // namespace panal
