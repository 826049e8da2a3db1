#include "common/base/toml_string.h"

#include <gtest/gtest.h>

namespace panal {
namespace {

TEST(TomlString, EscapesWhatTomlDoesNotTake) {
  EXPECT_EQ(TomlString(""), "\"\"");
  EXPECT_EQ(TomlString("Lindenbl\u00fcte 'a'"), "\"Lindenbl\u00fcte 'a'\"");
  EXPECT_EQ(TomlString("a \"b\" \\c"), R"("a \"b\" \\c")");
  EXPECT_EQ(TomlString("\t\n\x1f\x7f"), R"("\u0009\u000A\u001F\u007F")");
}

}  // namespace
}  // namespace panal
