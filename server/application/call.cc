#include "server/application/call.h"

#include "common/wire/status_codec.h"

namespace panal {

CallResult ResultOf(const absl::Status& status) {
  CallResult result;
  result.code = static_cast<int>(status.code());
  if (status.ok()) return result;
  result.message = StatusMessageOf(status);
  result.details = EncodeStatusDetails(status);
  return result;
}

}  // namespace panal
