// The bodies of the fuzzers over random bytes, over their corpora, and over corpora with bytes
// changed.
#include "tests/property/model/byte_properties.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/wire/protobuf_log.h"

namespace panal {
namespace {

// Otherwise protobuf writes a line for every text that is not UTF-8.
class BytePropertiesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { LimitProtobufLog(); }
};

std::vector<std::string> CorpusOf(absl::string_view name) {
  std::vector<std::string> inputs;
  std::string folder = absl::StrCat(PANAL_CORPUS, "/", name);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

// `bytes` with a few of them changed, left out or doubled.
std::string Mutated(std::string bytes, Random& random) {
  for (uint64_t i = 0; i < 1 + random.Below(4) && !bytes.empty(); ++i) {
    size_t at = random.Below(bytes.size());
    uint64_t kind = random.Below(4);
    if (kind == 0) bytes[at] = static_cast<char>(random.Next());
    if (kind == 1) bytes.erase(at, 1 + random.Below(8));
    if (kind == 2) bytes.insert(at, bytes.substr(at, 1 + random.Below(8)));
    if (kind == 3) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.Below(8)));
  }
  return bytes;
}

TEST_F(BytePropertiesTest, HoldForRandomBytes) {
  for (const ByteProperty& property : ByteProperties()) {
    for (uint64_t seed = 0; seed < 1000; ++seed) {
      Random random(seed);
      property.check(random.Bytes(random.Below(200)));
    }
  }
}

TEST_F(BytePropertiesTest, HoldForTheCorpora) {
  for (const ByteProperty& property : ByteProperties()) {
    std::vector<std::string> corpus = CorpusOf(property.name);
    EXPECT_GE(corpus.size(), 3u) << property.name;
    for (const std::string& bytes : corpus) property.check(bytes);
  }
}

TEST_F(BytePropertiesTest, HoldForChangedCorpora) {
  for (const ByteProperty& property : ByteProperties()) {
    for (const std::string& bytes : CorpusOf(property.name)) {
      for (uint64_t seed = 0; seed < 200; ++seed) {
        Random random(seed);
        property.check(Mutated(bytes, random));
      }
    }
  }
}

}  // namespace
}  // namespace panal
