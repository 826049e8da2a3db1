// Searches a mesh, fetches the first file found, and prints its content.
//
// Usage: cpp_search HOST:PORT QUERY      HOST:PORT is a peer's API port
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "client/proxy/client.h"

namespace {

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "cpp_search: %s [%s]\n", std::string(status.message()).c_str(),
               panal::ReasonNameOf(status).c_str());
  return 1;
}

// Prints every hit as it arrives; returns the first file.
absl::StatusOr<std::optional<panal::v1::Hit>> Search(panal::Client& client,
                                                     const std::string& query) {
  panal::v1::SearchRequest request;
  request.set_query(query);
  std::optional<panal::v1::Hit> first;
  auto summary = client.Search(request, [&](const panal::v1::Hit& hit) {
    std::printf("hit      %s  %lld bytes  %s\n", hit.id().c_str(),
                static_cast<long long>(hit.size_bytes()), hit.name().c_str());
    if (!first && hit.kind() == "file") first = hit;
    return true;  // false would end the search.
  });
  if (!summary.ok()) return summary.status();
  std::printf("asked    %lld of about %lld peers, recall %.2f\n",
              static_cast<long long>(summary->peers_reached()),
              static_cast<long long>(summary->mesh_size()), summary->recall());
  return first;
}

// Brings the file to the peer that `client` talks to, every block verified, and prints it from
// there.
absl::Status FetchAndPrint(panal::Client& client, const std::string& id) {
  panal::v1::FetchFileRequest fetch;
  fetch.set_id(id);
  auto fetched = client.FetchFile(fetch, [](const panal::v1::FetchFileResponse&) {});
  if (!fetched.ok()) return fetched.status();
  std::printf("fetched  %lld bytes from %d peer(s)\n",
              static_cast<long long>(fetched->received_bytes()), fetched->sources());

  panal::v1::ReadFileRequest read;
  read.set_id(id);
  return client.ReadFile(read, [](const std::string& bytes) {
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    return absl::OkStatus();
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: cpp_search HOST:PORT QUERY\n");
    return 2;
  }
  auto client = panal::Client::Connect({.address = argv[1]});
  if (!client.ok()) return Fail(client.status());
  auto peer = (*client)->GetPeer();
  if (!peer.ok()) return Fail(peer.status());
  std::printf("peer     %s of mesh %s\n", peer->peer_id().c_str(), peer->mesh().c_str());

  auto file = Search(**client, argv[2]);
  if (!file.ok()) return Fail(file.status());
  if (!*file) {
    std::printf("no file matches\n");
    return 0;
  }
  absl::Status printed = FetchAndPrint(**client, (*file)->id());
  return printed.ok() ? 0 : Fail(printed);
}
