#include "server/data/file_store/source_files.h"

#include "tests/unit/data/file_store/file_store_testing.h"

namespace panal {
namespace {

class SourceFilesTest : public FileStoreTest {
 protected:
  SourceFiles& files_ = RealSourceFiles();
};

TEST_F(SourceFilesTest, OpensOnlyWhatLiesBelowTheRoot) {
  Write("a/b", "1");
  std::ofstream(folder_ + "/secret") << "secret";
  std::filesystem::create_symlink(folder_, Path("out"));
  std::filesystem::create_symlink("a", Path("in"));

  EXPECT_TRUE(files_.Open(root_, "a/b").ok());
  EXPECT_TRUE(files_.Open(root_, "").ok());
  for (const char* path : {"../secret", "a/../../secret", "out/secret", "in/b", "out", "missing"}) {
    EXPECT_EQ(ReasonOf(files_.Open(root_, path).status()), ErrorReason::kPathNotFound) << path;
  }
}

TEST_F(SourceFilesTest, ListsInBytewiseOrder) {
  for (const char* name : {"b", "a", "B", "\xff"}) Write(name, "");
  std::filesystem::create_directory(Path("d"));
  std::filesystem::create_symlink("a", Path("l"));

  absl::StatusOr<std::vector<SourceEntry>> entries = (*files_.Open(root_, ""))->List();

  std::vector<std::string> names;
  for (const SourceEntry& entry : *entries) names.push_back(entry.name);
  EXPECT_EQ(names, (std::vector<std::string>{"B", "a", "b", "d", "l", "\xff"}));
  EXPECT_EQ((*entries)[3].kind, SourceKind::kFolder);
  EXPECT_EQ((*entries)[4].kind, SourceKind::kLink);
}

TEST_F(SourceFilesTest, DoesNotOpenAnEntryThatIsALink) {
  Write("a", "1");
  std::filesystem::create_symlink("a", Path("l"));

  EXPECT_EQ(ReasonOf((*files_.Open(root_, ""))->OpenEntry("l").status()),
            ErrorReason::kPathNotFound);
}

TEST_F(SourceFilesTest, ResolvesLinksAndDots) {
  Write("a/b", "1");
  std::filesystem::create_symlink("a", Path("l"));

  EXPECT_EQ(*files_.Resolve(Path("l/../l/./b")), Path("a/b"));
  EXPECT_EQ(ReasonOf(files_.Resolve(Path("missing")).status()), ErrorReason::kPathNotFound);
  EXPECT_EQ(ReasonOf(files_.Resolve(std::string("/tmp\0x", 6)).status()),
            ErrorReason::kPathNotFound);
}

}  // namespace
}  // namespace panal
