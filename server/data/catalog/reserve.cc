#include "server/data/catalog/reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace panal::catalog {

void Reserve::Restore() {
  struct stat info;
  if (stat(path_.c_str(), &info) == 0 && info.st_size == kReserveSize) return;
  int file = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  bool whole = posix_fallocate(file, 0, kReserveSize) == 0;
  close(file);
  if (!whole) GiveUp();
}

bool Reserve::GiveUp() { return unlink(path_.c_str()) == 0; }

}  // namespace panal::catalog
