#include "server/runtime/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>

namespace panal {
namespace {

struct Row {
  const char* name;
  const char* help;
};

constexpr std::array<Row, static_cast<size_t>(Counter::kCount)> kCounters = {{
    {"panal_link_frames_received_total", "Frames received from neighbors."},
    {"panal_link_frames_refused_total", "Frames that broke a rule of the protocol."},
    {"panal_link_frames_undecodable_total", "Frames out of their ranges; each ended its link."},
    {"panal_link_frames_unknown_total", "Frames of a kind that is not known."},
    {"panal_link_frames_shed_total",
     "Frames refused because the pages before them were not verified in time."},
    {"panal_page_verified_total", "Pages whose signature was verified."},
    {"panal_page_refused_total", "Pages refused for a wrong signature, hash or expiry."},
    {"panal_search_queries_total", "Searches begun by local programs."},
    {"panal_search_incomplete_total", "Searches that did not meet the recall asked for."},
    {"panal_search_refused_total", "Searches refused because the mailbox was full."},
    {"panal_search_hits_total", "Hits given to local programs."},
    {"panal_fetch_started_total", "Fetches begun by local programs."},
    {"panal_fetch_failed_total", "Fetches that ended with an error."},
    {"panal_node_mailbox_refused_total", "Frames refused because the mailbox was full."},
    {"panal_link_dials_failed_total", "Links that could not be opened."},
}};

constexpr std::array<Row, static_cast<size_t>(Gauge::kCount)> kGauges = {{
    {"panal_overlay_neighbors", "Neighbors with an open link."},
    {"panal_overlay_mesh_size_peers", "Estimated peers in the mesh."},
    {"panal_file_published", "Files and directories published."},
    {"panal_file_stored_bytes", "Bytes of content in the block store."},
    {"panal_node_mailbox_waiting", "Tasks waiting for the node loop."},
    {"panal_fetch_active", "Fetches under way."},
    {"panal_page_copies_ratio", "Copies over target of the page spread last."},
}};

// Seconds; from a context switch to the longest deadline of a control call.
const prometheus::Histogram::BucketBoundaries kQueueBuckets = {0.0001, 0.0005, 0.001, 0.005, 0.01,
                                                               0.05,   0.1,    0.5,   1,     5};
const prometheus::Histogram::BucketBoundaries kSearchBuckets = {0.001, 0.005, 0.01, 0.05, 0.1,
                                                                0.25,  0.5,   1,    2.5,  10};
const prometheus::Histogram::BucketBoundaries kRecallBuckets = {0.5, 0.9, 0.95, 0.99, 0.999, 1};

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  std::array<prometheus::Counter*, kCounters.size()> counters;
  std::array<prometheus::Gauge*, kGauges.size()> gauges;
  std::array<prometheus::Histogram*, kWorkClasses> queue_seconds;
  prometheus::Histogram* search_seconds;
  prometheus::Histogram* search_recall;
};

Metrics::Metrics(const std::string& version) : state_(std::make_unique<State>()) {
  prometheus::Registry& registry = state_->registry;
  for (size_t i = 0; i < kCounters.size(); ++i) {
    state_->counters[i] = &prometheus::BuildCounter()
                               .Name(kCounters[i].name)
                               .Help(kCounters[i].help)
                               .Register(registry)
                               .Add({});
  }
  for (size_t i = 0; i < kGauges.size(); ++i) {
    state_->gauges[i] = &prometheus::BuildGauge()
                             .Name(kGauges[i].name)
                             .Help(kGauges[i].help)
                             .Register(registry)
                             .Add({});
  }
  auto& queue = prometheus::BuildHistogram()
                    .Name("panal_dispatcher_queue_seconds")
                    .Help("Time tasks waited for a worker, by class.")
                    .Register(registry);
  for (int i = 0; i < kWorkClasses; ++i) {
    std::string name(WorkClassName(static_cast<WorkClass>(i)));
    state_->queue_seconds[i] = &queue.Add({{"class", name}}, kQueueBuckets);
  }
  state_->search_seconds = &prometheus::BuildHistogram()
                                .Name("panal_search_seconds")
                                .Help("Time from a search's begin to its summary.")
                                .Register(registry)
                                .Add({}, kSearchBuckets);
  state_->search_recall = &prometheus::BuildHistogram()
                               .Name("panal_search_recall_ratio")
                               .Help("Recall that searches reached.")
                               .Register(registry)
                               .Add({}, kRecallBuckets);
  prometheus::BuildGauge()
      .Name("panal_build_info")
      .Help("Version of the software; always 1.")
      .Register(registry)
      .Add({{"version", version}})
      .Set(1);
}

Metrics::~Metrics() = default;

void Metrics::Count(Counter counter, double by) {
  state_->counters[static_cast<size_t>(counter)]->Increment(by);
}

void Metrics::Set(Gauge gauge, double value) {
  state_->gauges[static_cast<size_t>(gauge)]->Set(value);
}

void Metrics::ObserveQueueTime(WorkClass work_class, absl::Duration waited) {
  state_->queue_seconds[static_cast<size_t>(work_class)]->Observe(absl::ToDoubleSeconds(waited));
}

void Metrics::ObserveSearch(absl::Duration elapsed, double recall) {
  state_->search_seconds->Observe(absl::ToDoubleSeconds(elapsed));
  state_->search_recall->Observe(recall);
}

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace panal
