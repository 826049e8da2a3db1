#include "server/application/health_servant.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace panal {

HealthServant::HealthServant(Dispatcher& dispatcher, const Router& router)
    : Servant("grpc.health.v1.Health", dispatcher), router_(router) {
  Unary("Check", WorkClass::kControl, &HealthServant::Check);
  PushStream("Watch", WorkClass::kControl, &HealthServant::Watch);
}

HealthServant::CheckResponse::ServingStatus HealthServant::StatusOf(
    const std::string& service, const std::vector<std::string>& services, bool serving) {
  if (!service.empty() && !std::binary_search(services.begin(), services.end(), service)) {
    return CheckResponse::SERVICE_UNKNOWN;
  }
  return serving ? CheckResponse::SERVING : CheckResponse::NOT_SERVING;
}

absl::StatusOr<HealthServant::CheckResponse> HealthServant::Check(const CallHead& head,
                                                                  const CheckRequest& request) {
  bool serving = false;
  {
    MutexLock lock(&mutex_);
    serving = serving_;
  }
  const auto status = StatusOf(request.service(), router_.Services(), serving);
  if (status == CheckResponse::SERVICE_UNKNOWN) {
    const std::string shown = request.service().substr(0, 256);
    return Error(ErrorReason::kObjectNotFound, absl::StrCat("no service \"", shown, "\""),
                 {{"reference", shown}});
  }
  CheckResponse response;
  response.set_status(status);
  return response;
}

void HealthServant::Watch(const CallHead& head, const CheckRequest& request,
                          StreamWriter<CheckResponse> writer) {
  std::list<Watcher>::iterator watcher;
  bool watching = false;
  {
    MutexLock lock(&mutex_);
    if (watchers_.size() < kHealthWatchersMax) {
      watcher =
          watchers_.insert(watchers_.end(), {request.service(), writer, CheckResponse::UNKNOWN});
      watching = true;
    }
  }
  if (!watching) {
    return writer.Finish(
        OverloadedError(absl::StrCat("overloaded: ", kHealthWatchersMax, " callers watch already"),
                        absl::Seconds(1)));
  }
  writer.OnCancel([this, watcher] {
    std::list<Watcher> gone;
    MutexLock lock(&mutex_);
    gone.splice(gone.begin(), watchers_, watcher);
  });
  TellWatchers();
}

void HealthServant::SetServing(bool serving) {
  {
    MutexLock lock(&mutex_);
    serving_ = serving;
  }
  TellWatchers();
}

void HealthServant::TellWatchers() {
  {
    MutexLock lock(&mutex_);
    changed_ = true;
    // One thread tells at a time, so that no newer status is overtaken by an older one.
    if (telling_) return;
    telling_ = true;
  }
  for (;;) {
    std::vector<std::pair<StreamWriter<CheckResponse>, CheckResponse>> news;
    {
      MutexLock lock(&mutex_);
      if (!changed_) {
        telling_ = false;
        return;
      }
      changed_ = false;
      news = TakeNews();
    }
    for (const auto& [writer, response] : news) writer.Write(response);
  }
}

std::vector<std::pair<StreamWriter<HealthServant::CheckResponse>, HealthServant::CheckResponse>>
HealthServant::TakeNews() {
  std::vector<std::pair<StreamWriter<CheckResponse>, CheckResponse>> news;
  const std::vector<std::string> services = router_.Services();
  for (Watcher& watcher : watchers_) {
    const auto status = StatusOf(watcher.service, services, serving_);
    if (status == watcher.told) continue;
    watcher.told = status;
    CheckResponse response;
    response.set_status(status);
    news.emplace_back(watcher.writer, std::move(response));
  }
  return news;
}

}  // namespace panal
