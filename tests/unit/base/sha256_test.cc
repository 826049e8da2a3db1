#include "common/base/sha256.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "common/base/random.h"

namespace panal {
namespace {

std::string Hex(const Sha256Digest& digest) { return absl::BytesToHexString(digest.view()); }

TEST(Sha256, GivesTheValuesOfFips180) {
  EXPECT_EQ(Hex(Sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex(Sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(Sha256(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Hasher, GivesTheDigestOfThePartsTogether) {
  Random random(5);
  Sha256Hasher hasher;
  for (int round = 0; round < 100; ++round) {
    std::string whole;
    for (size_t parts = random.Below(6); parts > 0; --parts) {
      std::string part = random.Bytes(random.Below(200));
      hasher.Update(part);
      whole += part;
    }
    EXPECT_EQ(hasher.Finish(), Sha256(whole));
  }
}

TEST(Sha256Hasher, CarriesItsBytesAlongWhenItIsMoved) {
  Sha256Hasher first;
  first.Update("a");
  Sha256Hasher second(std::move(first));
  second.Update("bc");
  EXPECT_EQ(second.Finish(), Sha256("abc"));
}

TEST(Sha256, IsSafeInSeveralThreads) {
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int& count : wrong) {
    threads.emplace_back([&count, expected = Sha256("abc")] {
      for (int i = 0; i < 1000; ++i) count += Sha256("abc") == expected ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace panal
