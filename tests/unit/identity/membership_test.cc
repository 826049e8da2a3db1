#include "common/identity/membership.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/base/status.h"
#include "common/identity/ticket.h"
#include "tests/unit/identity/invite_chain.h"

namespace panal {
namespace {

class MembershipTest : public testing::Test {
 protected:
  MembershipTest() {
    std::string pattern = testing::TempDir() + "panal_membership_XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }

  ~MembershipTest() override { std::filesystem::remove_all(dir_); }

  std::string path() const { return dir_ + "/membership"; }

  std::string Bytes() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  void Put(const std::string& bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }

  std::string dir_;
  const MeshMembership membership_ = {
      .mesh_name = "lab",
      .chain = MakeChain({{'a', Role::kAdmin}, {'b', Role::kMember}}),
      .contacts = std::vector<JoinAddress>(kTicketContactsMax, {"first:7401", TestPeer('a')})};
};

TEST_F(MembershipTest, IsNothingWhereThereIsNoFile) {
  const auto loaded = LoadMembership(dir_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_FALSE(loaded->has_value());
}

TEST_F(MembershipTest, IsTheSameWhenItIsLoaded) {
  ASSERT_TRUE(SaveMembership(dir_, {.mesh_name = "old", .chain = MakeChain({{'a'}})}).ok());
  ASSERT_TRUE(SaveMembership(dir_, membership_).ok());

  const auto loaded = LoadMembership(dir_);

  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(*loaded, membership_);
  EXPECT_EQ((*loaded)->mesh_id(), TestMesh());
  struct stat stat;
  ASSERT_EQ(::stat(path().c_str(), &stat), 0);
  EXPECT_EQ(stat.st_mode & 0777, 0600);
}

TEST_F(MembershipTest, SaysThatItIsDamagedWhateverByteIsWrongOrMissing) {
  ASSERT_TRUE(SaveMembership(dir_, membership_).ok());
  const std::string whole = Bytes();
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string wrong = whole;
    wrong[i] = static_cast<char>(wrong[i] ^ 1);
    Put(wrong);
    EXPECT_EQ(ReasonOf(LoadMembership(dir_).status()), ErrorReason::kDataDirInvalid) << i;
    Put(whole.substr(0, i));
    EXPECT_EQ(ReasonOf(LoadMembership(dir_).status()), ErrorReason::kDataDirInvalid) << i;
  }
  Put(whole + "x");
  EXPECT_EQ(ReasonOf(LoadMembership(dir_).status()), ErrorReason::kDataDirInvalid);
}

}  // namespace
}  // namespace panal
