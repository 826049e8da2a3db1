#include "client/cli/root_key.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace panal::cli {

absl::StatusOr<std::string> ReadPassphrase(const std::string& path) {
  std::string passphrase;
  if (path.empty()) return passphrase;
  std::ifstream file(path);
  if (std::getline(file, passphrase) && !passphrase.empty()) return passphrase;
  return Error(
      ErrorReason::kConfigInvalid,
      absl::StrCat("--passphrase-file ", path, " cannot be read, or its first line is empty"));
}

}  // namespace panal::cli
