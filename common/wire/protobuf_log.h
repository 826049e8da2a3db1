// Where protobuf's own log lines go.
#pragma once

namespace panal {

// Sends protobuf's log lines through common/base/log.h: fatal ones as errors, all others at debug
// and rate-limited, since a remote peer brings them about by text that is not UTF-8. Call it before
// bytes from outside are parsed. Thread-safe; calls after the first do nothing.
void LimitProtobufLog();

}  // namespace panal
