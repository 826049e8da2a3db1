// Room on the disk that only removing may use: a file beside the database, given up when the disk
// is full.
#pragma once

#include <cstdint>
#include <string>

namespace panal::catalog {

// Bytes of the reserve: SQLite moves the write-ahead log into the database when it has 1000 pages
// of 4 KiB; that, and a removal's own pages, must find room.
inline constexpr int64_t kReserveSize = 6 * 1024 * 1024;

// Not thread-safe: the writer's.
class Reserve {
 public:
  // `database`: path of the database.
  explicit Reserve(const std::string& database) : path_(database + "-reserve") {}

  // Makes the reserve where it is missing and there is room for it; else there is none for now.
  void Restore();
  // Gives its room up. Returns whether there was any.
  bool GiveUp();

 private:
  const std::string path_;
};

}  // namespace panal::catalog
