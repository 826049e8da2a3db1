#include "server/runtime/blocks_server.h"

#include <memory>
#include <utility>
#include <vector>

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
  return table_->streams.size();
}

grpc::ServerGenericBidiReactor* BlocksServer::Accept(grpc::GenericCallbackServerContext& context,
                                                     const CredentialPtr& peer) {
  uint64_t number = 0;
  {
    MutexLock lock(&table_->mutex);
    auto found = table_->by_peer.find(peer->peer);
    const size_t of_peer = found == table_->by_peer.end() ? 0 : found->second;
    const size_t all = table_->streams.size();
    if (of_peer >= options_.streams_per_peer_max || all >= options_.streams_max) {
      return new RefusedStream(
          ToGrpcStatus(OverloadedError(absl::StrCat(of_peer, " blocks streams of the peer and ",
                                                    all, " in all are open already"),
                                       absl::Seconds(1))));
    }
    ++table_->by_peer[peer->peer];
    number = ++table_->last;
    table_->streams[number].peer = peer;
  }
  admission_.Attach(context);
  ServedBlocks* stream = ServedBlocks::Start(files_, dispatcher_, peer->peer, options_.queue_max,
                                             [table = table_, peer, number] {
                                               MutexLock lock(&table->mutex);
                                               table->streams.erase(number);
                                               auto found = table->by_peer.find(peer->peer);
                                               if (--found->second == 0)
                                                 table->by_peer.erase(found);
                                             });
  // Not over yet: gRPC tells nothing of a stream before it was given its reactor.
  MutexLock lock(&table_->mutex);
  table_->streams[number].stream = stream->weak_from_this();
  return stream;
}

void BlocksServer::Recheck() {
  std::vector<Stream> streams;
  {
    MutexLock lock(&table_->mutex);
    for (const auto& [number, stream] : table_->streams) streams.push_back(stream);
  }
  for (const Stream& entry : streams) {
    const absl::Status admitted = admission_.Recheck(*entry.peer);
    const std::shared_ptr<ServedBlocks> stream = entry.stream.lock();
    if (!admitted.ok() && stream != nullptr) stream->End(admitted);
  }
}

}  // namespace panal
