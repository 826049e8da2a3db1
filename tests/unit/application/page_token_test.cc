#include "server/application/page_token.h"

#include <string>

#include "common/base/status.h"
#include "gtest/gtest.h"

namespace panal {
namespace {

TEST(PageToken, GivesTheCursorBack) {
  const std::string cursor("name with\nnewline and \xff", 23);

  const std::string token = EncodePageToken("ListFiles", cursor);

  EXPECT_EQ(DecodePageToken("ListFiles", token).value(), cursor);
  EXPECT_EQ(token.find(cursor), std::string::npos);
}

TEST(PageToken, TakesTheLongestCursor) {
  const std::string cursor(1024, 'n');

  EXPECT_EQ(DecodePageToken("c", EncodePageToken("c", cursor)).value(), cursor);
}

TEST(PageToken, TakesAnEmptyTokenForTheFirstPage) {
  EXPECT_EQ(DecodePageToken("ListFiles", "").value(), "");
}

TEST(PageToken, RefusesATokenOfAnotherList) {
  const std::string token = EncodePageToken("ListFiles", "a");

  EXPECT_EQ(ReasonOf(DecodePageToken("ListObjects", token).status()),
            ErrorReason::kPageTokenInvalid);
}

TEST(PageToken, RefusesEveryAlteredToken) {
  const std::string token = EncodePageToken("ListFiles", "some cursor");
  for (size_t i = 0; i < token.size(); ++i) {
    std::string altered = token;
    altered[i] = altered[i] == 'a' ? 'b' : 'a';
    EXPECT_EQ(ReasonOf(DecodePageToken("ListFiles", altered).status()),
              ErrorReason::kPageTokenInvalid)
        << i;
  }
  EXPECT_FALSE(DecodePageToken("ListFiles", token.substr(1)).ok());
  EXPECT_FALSE(DecodePageToken("ListFiles", "!").ok());
  EXPECT_FALSE(DecodePageToken("ListFiles", std::string(5000, 'a')).ok());
}

TEST(PageSize, FillsInAndCapsWhatIsAsked) {
  EXPECT_EQ(PageSizeOf(0).value(), 50);
  EXPECT_EQ(PageSizeOf(1).value(), 1);
  EXPECT_EQ(PageSizeOf(1000).value(), 1000);
  EXPECT_EQ(PageSizeOf(1001).value(), 1000);
  EXPECT_EQ(ReasonOf(PageSizeOf(-1).status()), ErrorReason::kArgumentInvalid);
}

}  // namespace
}  // namespace panal
