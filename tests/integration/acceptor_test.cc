#include "server/runtime/acceptor.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "common/base/status.h"
#include "common/base/sync.h"
#include "tests/support/eventually.h"

namespace panal {
namespace {

// A connection to a port of 127.0.0.1.
class Connection {
 public:
  explicit Connection(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  ~Connection() { close(socket_); }

  bool connected() const { return connected_; }

  // Whether the other end closes it, for which it waits.
  bool IsClosed() const {
    char byte = 0;
    return recv(socket_, &byte, 1, 0) <= 0;
  }

  int number() const { return socket_; }

 private:
  const int socket_;
  bool connected_ = false;
};

// Keeps what it is given until told to close it.
class Keeper {
 public:
  ~Keeper() { CloseAll(); }

  Acceptor::Handover Taker() {
    return [this](int socket) {
      MutexLock lock(&mutex_);
      sockets_.push_back(socket);
    };
  }

  size_t count() const {
    MutexLock lock(&mutex_);
    return sockets_.size();
  }

  void CloseAll() {
    MutexLock lock(&mutex_);
    for (int socket : sockets_) close(socket);
    sockets_.clear();
  }

 private:
  mutable Mutex mutex_;
  std::vector<int> sockets_ ABSL_GUARDED_BY(mutex_);
};

std::unique_ptr<Acceptor> BindLoopback(size_t connections_max) {
  absl::StatusOr<std::unique_ptr<Acceptor>> acceptor =
      Acceptor::Bind("127.0.0.1", 0, connections_max);
  EXPECT_TRUE(acceptor.ok()) << acceptor.status();
  return std::move(*acceptor);
}

TEST(Acceptor, HandsOverWhatConnects) {
  Keeper keeper;
  auto acceptor = BindLoopback(10);
  acceptor->Start(keeper.Taker());

  const Connection first(acceptor->port());
  const Connection second(acceptor->port());

  EXPECT_TRUE(Eventually([&] { return keeper.count() == 2; }));
}

TEST(Acceptor, ClosesConnectionsBeyondTheLimitUntilOthersAreClosed) {
  Keeper keeper;
  auto acceptor = BindLoopback(2);
  acceptor->Start(keeper.Taker());
  const Connection first(acceptor->port());
  const Connection second(acceptor->port());
  ASSERT_TRUE(Eventually([&] { return keeper.count() == 2; }));

  EXPECT_TRUE(Connection(acceptor->port()).IsClosed());

  EXPECT_EQ(keeper.count(), 2);
  keeper.CloseAll();
  EXPECT_TRUE(Eventually([&] {
    const Connection another(acceptor->port());
    return keeper.count() > 0;
  }));
}

TEST(Acceptor, GoesOnAfterDescriptorsRanOut) {
  Keeper keeper;
  auto acceptor = BindLoopback(100);
  // In the queue of the port, before anybody accepts.
  std::vector<std::unique_ptr<Connection>> early;
  for (int i = 0; i < 5; ++i) early.push_back(std::make_unique<Connection>(acceptor->port()));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(early.back()->number()) + 1;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);

  acceptor->Start(keeper.Taker());

  for (const auto& connection : early) EXPECT_TRUE(connection->IsClosed());
  EXPECT_EQ(keeper.count(), 0);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  const Connection late(acceptor->port());
  EXPECT_TRUE(Eventually([&] { return keeper.count() == 1; }));
}

TEST(Acceptor, RefusesConnectionsOnceStopped) {
  Keeper keeper;
  auto acceptor = BindLoopback(10);
  acceptor->Start(keeper.Taker());
  const int port = acceptor->port();

  acceptor->Stop();
  acceptor->Stop();

  EXPECT_FALSE(Connection(port).connected());
}

TEST(Acceptor, SaysThatAPortIsTaken) {
  auto acceptor = BindLoopback(10);

  const absl::Status again = Acceptor::Bind("127.0.0.1", acceptor->port(), 10).status();

  EXPECT_EQ(ReasonOf(again), ErrorReason::kPortTaken);
  EXPECT_THAT(again.message(), ::testing::HasSubstr("Address already in use"));
}

// 192.0.2.0/24 is reserved for documentation (RFC 5737): no machine has an address of it.
TEST(Acceptor, SaysThatAnAddressIsNotOfThisMachine) {
  const absl::Status bound = Acceptor::Bind("192.0.2.1", 0, 10).status();

  EXPECT_EQ(ReasonOf(bound), ErrorReason::kConfigInvalid);
  EXPECT_THAT(bound.message(), ::testing::HasSubstr("this machine has no address 192.0.2.1"));
}

TEST(Acceptor, SaysThatAHostHasNoAddress) {
  const absl::Status bound = Acceptor::Bind("no such host", 0, 10).status();

  EXPECT_EQ(ReasonOf(bound), ErrorReason::kConfigInvalid);
  EXPECT_THAT(bound.message(), ::testing::HasSubstr("no such host"));
}

TEST(Acceptor, ListensOnEveryAddressOfTheMachine) {
  for (const char* host : {"0.0.0.0", "[::]", "localhost"}) {
    Keeper keeper;
    absl::StatusOr<std::unique_ptr<Acceptor>> acceptor = Acceptor::Bind(host, 0, 10);
    ASSERT_TRUE(acceptor.ok()) << acceptor.status();
    (*acceptor)->Start(keeper.Taker());

    const Connection connection((*acceptor)->port());

    EXPECT_TRUE(Eventually([&] { return keeper.count() == 1; })) << host;
  }
}

TEST(ConnectionsFor, IsAShareOfTheDescriptorsUpToTheMost) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 1024;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &small), 0);

  EXPECT_EQ(ConnectionsFor(0.25), 256);
  EXPECT_EQ(ConnectionsFor(0), 1);
  EXPECT_EQ(ConnectionsFor(1e6), kConnectionsMax);

  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace panal
