// Calls to a peer whose acceptor breaks the rules of admission.
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/wire/status_codec.h"
#include "tests/integration/raw_acceptor.h"
#include "tests/integration/stream_peer.h"

namespace panal {
namespace {

TEST(CallStreams, SendNoCallToAnAcceptorThatDoesNotShowThatItIsOfTheMesh) {
  StreamPeer peer;
  const Identity identity = Identity::Generate();
  CallHead head;
  head.method = "/t.S/Echo";
  for (const BadAcceptor& bad : BadAcceptors(identity)) {
    RawAcceptor acceptor(identity, bad.metadata, "");
    peer.Know(acceptor.contact());

    CallDriver call(peer.calls().Open(identity.peer_id(), "panal://somebody/t.S/key", head));
    const CallResult end = call.Finish();

    EXPECT_EQ(ReasonOf(DecodeStatusDetails(end.code, end.message, end.details)), bad.reason)
        << bad.name;
    EXPECT_EQ(acceptor.streams(), 1) << bad.name;
    EXPECT_EQ(acceptor.messages(), 0) << bad.name;
  }
}

}  // namespace
}  // namespace panal
