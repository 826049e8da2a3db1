// What every file layer on POSIX calls does the same way.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>

namespace panal {

// Repeats a call that a signal interrupted.
template <typename Call>
auto Retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Up to `size` bytes from `offset` on; fewer only at the end of the file. Nothing: errno says why.
inline std::optional<std::string> ReadUpTo(int fd, uint64_t offset, size_t size) {
  std::string bytes(size, '\0');
  size_t taken = 0;
  while (taken < size) {
    ssize_t got = Retry([&] {
      return pread(fd, bytes.data() + taken, size - taken, static_cast<off_t>(offset + taken));
    });
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    taken += static_cast<size_t>(got);
  }
  bytes.resize(taken);
  return bytes;
}

}  // namespace panal
