#include "server/runtime/blocks_server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/rpc/status_convert.h"
#include "server/runtime/refused_stream.h"
#include "server/runtime/served_blocks.h"

namespace panal {

BlocksServer::BlocksServer(FileStore& files, Dispatcher& dispatcher,
                           const StreamAdmission& admission, const BlocksServerOptions& options)
    : files_(files),
      dispatcher_(dispatcher),
      admission_(admission),
      options_(options),
      table_(std::make_shared<Table>()) {}

size_t BlocksServer::streams() const {
  MutexLock lock(&table_->mutex);
  return table_->all;
}

grpc::ServerGenericBidiReactor* BlocksServer::Accept(grpc::GenericCallbackServerContext& context,
                                                     const PeerId& peer) {
  {
    MutexLock lock(&table_->mutex);
    auto found = table_->by_peer.find(peer);
    const size_t of_peer = found == table_->by_peer.end() ? 0 : found->second;
    if (of_peer >= options_.streams_per_peer_max || table_->all >= options_.streams_max) {
      return new RefusedStream(
          ToGrpcStatus(OverloadedError(absl::StrCat(of_peer, " blocks streams of the peer and ",
                                                    table_->all, " in all are open already"),
                                       absl::Seconds(1))));
    }
    ++table_->by_peer[peer];
    ++table_->all;
  }
  admission_.Attach(context);
  return ServedBlocks::Start(files_, dispatcher_, peer, options_.queue_max, [table = table_, peer] {
    MutexLock lock(&table->mutex);
    --table->all;
    auto found = table->by_peer.find(peer);
    if (--found->second == 0) table->by_peer.erase(found);
  });
}

}  // namespace panal
