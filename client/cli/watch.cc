#include "client/cli/watch.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <functional>
#include <iterator>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/cli/search_output.h"
#include "common/base/check.h"
#include "common/base/sync.h"

namespace panal::cli {
namespace {

// A peer that does not answer is waited for this long. Guess: longer than its restart.
constexpr absl::Duration kResumeTime = absl::Minutes(2);
// Between two tries. Guess.
constexpr absl::Duration kResumeInterval = absl::Seconds(1);

// Where the signal handler writes.
int stop_pipe[2] = {-1, -1};

void OnStopSignal(int) {
  const int error = errno;
  if (write(stop_pipe[1], "s", 1) < 0) {
    // Full: it was told already.
  }
  errno = error;
}

// Turns SIGINT and SIGTERM into a call on a thread, for as long as it lives. One at a time.
class StopSignals {
 public:
  explicit StopSignals(std::function<void()> on_stop) : on_stop_(std::move(on_stop)) {
    PANAL_CHECK(pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) == 0);
    thread_ = std::thread([this] { Wait(); });
    struct sigaction action = {};
    action.sa_handler = OnStopSignal;
    action.sa_flags = SA_RESTART;
    for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &before_[i]);
  }

  ~StopSignals() {
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      sigaction(kSignals[i], &before_[i], nullptr);
    }
    close(stop_pipe[1]);  // Ends the wait.
    thread_.join();
    close(stop_pipe[0]);
  }

  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM};

  void Wait() {
    pollfd waited = {.fd = stop_pipe[0], .events = POLLIN, .revents = 0};
    while (poll(&waited, 1, -1) < 0 && errno == EINTR) {
    }
    if ((waited.revents & POLLIN) != 0) on_stop_();
  }

  const std::function<void()> on_stop_;
  struct sigaction before_[std::size(kSignals)] = {};
  std::thread thread_;
};

class Watcher {
 public:
  Watcher(const Context& context, const WatchArguments& arguments)
      : context_(context), arguments_(arguments) {}

  // Any thread.
  void Stop() {
    MutexLock lock(&mutex_);
    stopped_ = true;
    changed_.Signal();
    if (stream_ != nullptr) stream_->Cancel();
  }

  absl::Status Run() {
    auto client = context_.Connect();
    if (!client.ok()) return client.status();
    client_ = std::move(*client);
    absl::Status status;
    while (true) {
      status = OneStream();
      if (status.ok() || Stopped() || Enough() || !GoOnAfter(status)) break;
    }
    const bool wanted = Stopped() || Enough();
    // What the peer would keep for ten minutes is not needed. It may be gone; then so is this.
    if (wanted && !subscription_.empty()) (void)client_->Unsubscribe(subscription_);
    return wanted ? absl::OkStatus() : status;
  }

  const v1::SearchSummary& summary() const { return summary_; }

  int hits() const { return hits_; }

 private:
  bool Stopped() {
    MutexLock lock(&mutex_);
    return stopped_;
  }

  bool Enough() const { return arguments_.limit > 0 && hits_ >= arguments_.limit; }

  absl::Status OneStream() {
    v1::SubscribeRequest request;
    if (subscription_.empty()) {
      request.set_query(arguments_.query);
      request.set_recall(arguments_.recall);
      request.set_timeout(arguments_.timeout);
    } else {
      request.set_subscription(subscription_);
      request.set_after_sequence(sequence_);
    }
    std::unique_ptr<SubscriptionStream> stream = client_->Subscribe(request);
    {
      MutexLock lock(&mutex_);
      stream_ = stream.get();
      if (stopped_) stream_->Cancel();
    }
    v1::SubscribeResponse message;
    while (!Enough() && stream->Next(&message)) Take(message);
    if (Enough()) stream->Cancel();
    while (stream->Next(&message)) {
    }
    MutexLock lock(&mutex_);
    stream_ = nullptr;
    return stream->Finish();
  }

  void Take(const v1::SubscribeResponse& message) {
    lost_since_ = absl::InfiniteFuture();
    if (message.has_start()) {
      const v1::SubscriptionStart& start = message.start();
      subscription_ = start.subscription();
      if (start.missed() > 0) {
        std::fprintf(stderr, "panal: %d hits came and are not kept any more\n",
                     static_cast<int>(start.missed()));
      }
    } else if (message.has_hit()) {
      sequence_ = message.hit().sequence();
      ++hits_;
      PrintHit(context_, message.hit().hit());
      if (!FinishOutput().ok()) Stop();  // Nobody reads on: Run's caller says so.
    } else if (message.has_summary()) {
      const bool told = summarized_ && summary_.complete() == message.summary().complete();
      summary_ = message.summary();
      summarized_ = true;
      if (!told && !context_.json()) PrintRound();
    }
  }

  void PrintRound() const {
    const std::string line =
        absl::StrFormat("watching at %d of about %d peers: recall %.4f%s", summary_.peers_reached(),
                        summary_.mesh_size(), summary_.recall(), Shortfall(summary_));
    std::fprintf(stderr, "%s\n", line.c_str());
  }

  // Whether the stream that ended so is resumed or begun anew.
  bool GoOnAfter(const absl::Status& status) {
    const std::string reason = ReasonNameOf(status);
    if (!subscription_.empty() &&
        (reason == "SUBSCRIPTION_UNKNOWN" || reason == "SUBSCRIPTION_FULL")) {
      std::fprintf(stderr, "panal: %s; watching anew, what came meanwhile may be missing\n",
                   Printable(std::string(status.message())).c_str());
      subscription_.clear();
      sequence_ = 0;
      return true;
    }
    if (reason == "SUBSCRIBER_SLOW") return true;
    // Without a subscription there is nothing to go back to: the first answer counts.
    if (!absl::IsUnavailable(status) || !summarized_) return false;
    const absl::Time now = absl::Now();
    if (lost_since_ == absl::InfiniteFuture()) {
      lost_since_ = now;
      std::fprintf(stderr, "panal: the peer does not answer; trying again\n");
    }
    if (now - lost_since_ > kResumeTime) return false;
    MutexLock lock(&mutex_);
    if (!stopped_) changed_.WaitFor(&mutex_, kResumeInterval);
    return true;
  }

  const Context& context_;
  const WatchArguments& arguments_;
  std::unique_ptr<Client> client_;
  std::string subscription_;
  uint64_t sequence_ = 0;
  int hits_ = 0;
  v1::SearchSummary summary_;
  bool summarized_ = false;
  absl::Time lost_since_ = absl::InfiniteFuture();
  Mutex mutex_;
  Condition changed_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  SubscriptionStream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace

int Watch(const Context& context, const WatchArguments& arguments) {
  Watcher watcher(context, arguments);
  StopSignals signals([&watcher] { watcher.Stop(); });
  const absl::Status status = watcher.Run();
  if (!status.ok()) return Fail(status);
  v1::SearchSummary summary = watcher.summary();
  summary.set_hits(watcher.hits());
  if (context.json()) PrintJson(SummaryJson(summary));
  if (!summary.complete()) return kExitIncomplete;
  return watcher.hits() > 0 ? kExitOk : kExitNotFound;
}

}  // namespace panal::cli
