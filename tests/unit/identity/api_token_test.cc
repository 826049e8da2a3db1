#include "common/identity/api_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace panal {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string kToken(kApiTokenSizeMin, 't');
const std::string kOther(kApiTokenSizeMin, 'o');

std::vector<ApiToken> Parse(absl::string_view text) {
  absl::StatusOr<std::vector<ApiToken>> tokens = ParseApiTokens(text);
  EXPECT_TRUE(tokens.ok()) << tokens.status();
  return tokens.ok() ? *tokens : std::vector<ApiToken>();
}

// What parsing `text` is refused with.
std::string ParseRefusal(absl::string_view text) {
  absl::StatusOr<std::vector<ApiToken>> tokens = ParseApiTokens(text);
  EXPECT_EQ(ReasonOf(tokens.status()), ErrorReason::kConfigInvalid) << text;
  return std::string(tokens.status().message());
}

TEST(ApiToken, IsALineOfRoleTokenAndName) {
  EXPECT_EQ(
      Parse(absl::StrCat("# who may\n\n  read ", kToken, "\twatcher\r\nadmin ", kOther)),
      (std::vector<ApiToken>{{ApiRole::kRead, kToken, "watcher"}, {ApiRole::kAdmin, kOther, ""}}));
  EXPECT_EQ(Parse(absl::StrCat("write ", kToken, "\n"))[0].role, ApiRole::kWrite);
  EXPECT_TRUE(Parse("").empty());
  EXPECT_TRUE(Parse("#\n\n# read x\n").empty());
}

TEST(ApiToken, OfALineThatIsWrongTheNumberIsSaidAndTheTokenIsNot) {
  const std::string good = absl::StrCat("read ", kToken, "\n");
  EXPECT_THAT(ParseRefusal(absl::StrCat(good, "#\nread\n")), StartsWith("line 3: has 1 words"));
  EXPECT_THAT(ParseRefusal(absl::StrCat("read ", kToken, " a b")),
              StartsWith("line 1: has 4 words"));
  EXPECT_THAT(ParseRefusal(absl::StrCat(good, kOther, " read\n")), StartsWith("line 2: "));
  EXPECT_THAT(ParseRefusal(absl::StrCat(good, kOther, " read\n")), Not(HasSubstr(kOther)));
  EXPECT_THAT(ParseRefusal(absl::StrCat("Read ", kToken)), HasSubstr("read, write and admin"));
  EXPECT_THAT(ParseRefusal(absl::StrCat(good, "\nwrite ", kToken, "\n")),
              StartsWith("line 3: its token is that of line 1"));
  EXPECT_THAT(ParseRefusal(absl::StrCat(good, "\nwrite ", kToken, "\n")), Not(HasSubstr(kToken)));
}

TEST(ApiToken, SizesEndAtTheirLimits) {
  const auto line = [](size_t token, size_t name) {
    return absl::StrCat("read ", std::string(token, 'x'), " ", std::string(name, 'n'));
  };
  Parse(line(kApiTokenSizeMin, 1));
  Parse(line(kApiTokenSizeMax, kApiTokenNameSizeMax));
  EXPECT_THAT(ParseRefusal(line(kApiTokenSizeMin - 1, 1)), HasSubstr("token of 31 characters"));
  EXPECT_THAT(ParseRefusal(line(kApiTokenSizeMax + 1, 1)), HasSubstr("token of 257 characters"));
  EXPECT_THAT(ParseRefusal(line(kApiTokenSizeMin, kApiTokenNameSizeMax + 1)),
              HasSubstr("name of 65 characters"));
}

TEST(ApiToken, CharactersAreThoseOfAHeader) {
  EXPECT_TRUE(IsApiToken(kToken + "AZ09-._~+/=="));
  for (const char* wrong : {"=a", ",", "\"", " ", "\n", "\xc3\xa4"}) {
    EXPECT_FALSE(IsApiToken(kToken + wrong)) << wrong;
  }
  EXPECT_FALSE(IsApiToken(kToken + std::string(1, '\0')));
  EXPECT_FALSE(IsApiToken(std::string(kApiTokenSizeMin, '=')));
  EXPECT_TRUE(IsApiTokenName("ci@lab-1.x_y"));
  for (const char* wrong : {"", "a b", "\"", "\x1b"}) EXPECT_FALSE(IsApiTokenName(wrong)) << wrong;
}

TEST(ApiToken, LinesEndAtTheirLimit) {
  std::string text = absl::StrCat("read ", kToken, "\n");
  for (size_t i = 1; i < kApiTokenLinesMax; ++i) text += "#\n";
  EXPECT_EQ(Parse(text).size(), 1u);
  EXPECT_THAT(ParseRefusal(text + "#"), StartsWith("line 1025: "));
}

TEST(ApiToken, ANewOneHas256RandomBitsAndIsReadAsPrinted) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const ApiToken token = MakeApiToken(ApiRole::kWrite, "ci");
    EXPECT_EQ(token.token.size(), 52u);
    EXPECT_EQ(Parse(PrintApiToken(token)), std::vector<ApiToken>{token});
    seen.insert(token.token);
  }
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_EQ(PrintApiToken({ApiRole::kAdmin, kToken, ""}), absl::StrCat("admin ", kToken));
}

TEST(ApiToken, ASetFindsTheHolderOfTheWholeTokenOnly) {
  const ApiTokenSet set({{ApiRole::kRead, kToken, "a"}, {ApiRole::kAdmin, kOther, "b"}});

  ASSERT_NE(set.Find(kToken), nullptr);
  EXPECT_EQ(set.Find(kToken)->role, ApiRole::kRead);
  EXPECT_EQ(set.Find(kOther)->name, "b");
  for (const std::string& wrong :
       {std::string(), kToken.substr(1), kToken + "t", kToken + kOther}) {
    EXPECT_EQ(set.Find(wrong), nullptr) << wrong;
  }
  EXPECT_EQ(ApiTokenSet({}).Find(kToken), nullptr);
}

class ApiTokenFile : public testing::Test {
 protected:
  ApiTokenFile() {
    std::string pattern = testing::TempDir() + "panal_tokens_XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }

  ~ApiTokenFile() override { std::filesystem::remove_all(dir_); }

  std::string path() const { return dir_ + "/tokens"; }

  void Put(absl::string_view content, mode_t mode = 0600) {
    std::ofstream(path()) << content;
    chmod(path().c_str(), mode);
  }

  std::string Refusal() {
    absl::StatusOr<std::vector<ApiToken>> tokens = ReadApiTokenFile(path(), "--api-token-file");
    EXPECT_EQ(ReasonOf(tokens.status()), ErrorReason::kConfigInvalid) << tokens.status();
    EXPECT_EQ(MetadataOf(tokens.status())["setting"], "--api-token-file");
    EXPECT_THAT(std::string(tokens.status().message()), HasSubstr(path()));
    return std::string(tokens.status().message());
  }

  std::string dir_;
};

TEST_F(ApiTokenFile, IsItsOwnersAndAtMostReadByAGroup) {
  for (mode_t mode : {0600, 0400, 0440, 0640}) {
    Put(PrintApiToken({ApiRole::kRead, kToken, ""}), mode);
    EXPECT_EQ(ReadApiTokenFile(path(), "--api-token-file")->size(), 1u) << mode;
    chmod(path().c_str(), 0600);
  }
  for (mode_t mode : {0604, 0602, 0601, 0620, 0644, 0777}) {
    Put(PrintApiToken({ApiRole::kRead, kToken, ""}), mode);
    EXPECT_THAT(Refusal(), HasSubstr("chmod 600 ")) << mode;
    chmod(path().c_str(), 0600);
  }
}

TEST_F(ApiTokenFile, HasATokenAndNoWrongLine) {
  EXPECT_THAT(Refusal(), HasSubstr("there is no file"));
  Put("# nobody\n");
  EXPECT_THAT(Refusal(), HasSubstr("holds no token"));
  Put("#\nread x\n");
  EXPECT_THAT(Refusal(), HasSubstr(", line 2: "));
}

TEST_F(ApiTokenFile, OfAProgramHoldsOneTokenAloneOrInALine) {
  const auto read = [this] { return ReadApiToken(path(), "--token-file"); };
  Put(kToken + "\n");
  EXPECT_EQ(*read(), kToken);
  Put(absl::StrCat("# mine\nwrite ", kToken, " ci\n"));
  EXPECT_EQ(*read(), kToken);
  for (const std::string& wrong :
       {std::string(), std::string("short"), absl::StrCat("read ", kToken, "\nread ", kOther)}) {
    Put(wrong);
    EXPECT_EQ(ReasonOf(read().status()), ErrorReason::kConfigInvalid) << wrong;
    EXPECT_THAT(std::string(read().status().message()), StartsWith("--token-file: "));
  }
}

TEST_F(ApiTokenFile, IsReadUpToItsLimitAndNoFurther) {
  std::string text = PrintApiToken({ApiRole::kRead, kToken, ""}) + "\n#";
  text.resize(kApiTokenFileSizeMax, 'x');
  Put(text);
  EXPECT_TRUE(ReadApiTokenFile(path(), "--api-token-file").ok());
  Put(text + "x");
  EXPECT_THAT(Refusal(), HasSubstr("exceeds the limit of 262144"));
}

}  // namespace
}  // namespace panal
