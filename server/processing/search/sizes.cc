#include "server/processing/search/sizes.h"

#include <algorithm>
#include <cmath>

namespace panal {
namespace {

// Sizes are computed in doubles; a result this close above a whole number is that number.
constexpr double kRounding = 1e-9;

// Links of a peer while nothing is measured: the default.
constexpr double kDegreeUnmeasured = 16;

// Share of all links that belong to the peers at the other ends of `consulted` links. A link leads
// to a peer with probability w, its share of all links, so that the sum of w (1 - w)^consulted is
// not covered. As concave in w up to n - 1 links, that is at most as if all were equal; by
// convexity of the exponential and w at most kLinksPerPeerMax / D1 it is at most what the second
// bound says, which is better where few peers have most of the links.
double LinkShare(const MeshShape& shape, double consulted) {
  if (consulted <= 0) return 0;
  const double peers = std::max(shape.peers, 2.0);
  const double equal = -std::expm1(std::log1p(-1 / peers) * std::min(consulted, peers - 1));
  const double largest = consulted * kLinksPerPeerMax / shape.links;
  const double unequal = shape.degree / kLinksPerPeerMax * -std::expm1(-largest);
  return std::min(std::max(equal, unequal), 1 - 1e-12);
}

uint32_t CeilWithin(double value, double peers) {
  const double most = std::min(std::round(peers), static_cast<double>(kBubbleSizeMax));
  return static_cast<uint32_t>(std::clamp(std::ceil(value - kRounding), 1.0, std::max(1.0, most)));
}

}  // namespace

MeshShape ShapeOf(const MeshEstimate& estimate) {
  MeshShape shape;
  shape.peers = std::isfinite(estimate.peers) ? std::max(1.0, estimate.peers) : 1.0;
  const double d1 = estimate.degree_sum;
  const double d2 = estimate.degree_square_sum;
  if (!(d1 > 0) || !(d2 > 0) || !std::isfinite(d1) || !std::isfinite(d2)) {
    shape.mass = shape.peers;
    shape.compensator = kCompensatorUnmeasured;
    shape.degree = kDegreeUnmeasured;
    shape.links = shape.degree * shape.peers;
    return shape;
  }
  shape.mass = std::clamp(d1 * d1 / d2, 1.0, shape.peers);
  shape.links = std::max(d1, 1.0);
  shape.degree = std::max(d2 / d1, 1.0);
  const double rest = d2 - 2 * d1;
  shape.compensator = rest > 0 ? std::min(d2 / rest, kCompensatorMax) : kCompensatorMax;
  return shape;
}

uint32_t PageCopies(const MeshShape& shape, double lambda) {
  return CeilWithin(std::ceil(std::sqrt(lambda * shape.mass) * shape.compensator - kRounding),
                    shape.peers);
}

uint32_t QueryPeers(const MeshShape& shape, double copies, double recall) {
  if (recall >= 1) return CeilWithin(shape.peers, shape.peers);
  const double lambda = -std::log1p(-std::max(0.0, recall));
  const double exponent =
      lambda * shape.compensator * shape.mass / (std::max(copies, 1e-3) * shape.peers);
  return CeilWithin(-std::expm1(-exponent) * shape.peers, shape.peers);
}

double RecallOf(const MeshShape& shape, double copies, const Coverage& coverage) {
  if (coverage.peers >= std::round(shape.peers)) return 1;
  if (coverage.peers <= 0) return 0;
  const double missed = std::log1p(-coverage.peers / shape.peers) * (shape.peers / shape.mass) +
                        std::log1p(-LinkShare(shape, coverage.consulted));
  return -std::expm1(missed * copies / shape.compensator);
}

uint32_t FurtherPeers(const MeshShape& shape, double copies, double recall,
                      const Coverage& coverage, double consulted) {
  uint32_t least = 0;
  auto most = static_cast<uint32_t>(
      std::clamp(std::round(shape.peers), 1.0, static_cast<double>(kBubbleSizeMax)));
  while (least < most) {
    const uint32_t further = least + (most - least) / 2;
    const Coverage then{coverage.peers + further, coverage.consulted + further * consulted};
    if (RecallOf(shape, copies, then) + kRounding >= recall) {
      most = further;
    } else {
      least = further + 1;
    }
  }
  return most;
}

BubbleSizes::BubbleSizes(const SearchOptions& options) : options_(options) {}

void BubbleSizes::SetEstimate(const MeshEstimate& estimate) {
  MeshShape shape = ShapeOf(estimate);
  if (!options_.rules.compensate) shape.compensator = 1;
  // Only a larger mesh of the past matters, and only one that was measured.
  if (measured_ && shape.peers < shape_.peers) {
    while (!past_.empty() && past_.back().shape.peers <= shape_.peers) past_.pop_back();
    past_.push_back({shape_, now_ + options_.page_refresh_interval});
    if (past_.size() > kShapesRememberedMax) past_.pop_back();
  }
  shape_ = shape;
  measured_ = estimate.measured;
}

void BubbleSizes::Advance(absl::Time now) {
  now_ = now;
  auto live = std::find_if(past_.begin(), past_.end(),
                           [now](const Past& past) { return past.until >= now; });
  past_.erase(past_.begin(), live);
}

uint32_t BubbleSizes::MeshSize() const {
  return CeilWithin(std::round(shape_.peers), shape_.peers);
}

bool BubbleSizes::Saturated() const {
  return options_.saturated_factor > 0 &&
         shape_.peers <= options_.saturated_factor * options_.lambda;
}

bool BubbleSizes::PagesToEveryone() const { return measured_ && Saturated(); }

uint32_t BubbleSizes::PageSize() const {
  if (Saturated()) return MeshSize();
  return CeilWithin(oversize_ * scale_ * PageCopies(shape_, options_.lambda), shape_.peers);
}

double BubbleSizes::LiveCopies() const {
  const double today = Saturated() ? MeshSize() : PageCopies(shape_, options_.lambda);
  double live = today;
  for (const Past& past : past_) {
    if (past.shape.peers <= shape_.peers) continue;
    const double then = PageCopies(past.shape, options_.lambda);
    live = std::min(live, then * shape_.peers / past.shape.peers);
  }
  // With `scale` times the copies and a square of it less in their worth.
  return std::max(live, today * kLiveCopiesShareMin) / scale_;
}

uint32_t BubbleSizes::QuerySize(double recall) const {
  return Saturated() ? MeshSize() : QueryPeers(shape_, LiveCopies(), recall);
}

double BubbleSizes::LinksConsulted() const { return std::max(shape_.degree - 2, 0.0); }

uint32_t BubbleSizes::ConsultedPerPeerMax() const {
  const double most = std::ceil(kConsultedFactor * shape_.degree);
  return measured_ && most < kLinksPerPeerMax ? static_cast<uint32_t>(most) : kLinksPerPeerMax;
}

uint32_t BubbleSizes::ConsultingQuerySize(double recall, double links,
                                          const Coverage& coverage) const {
  return FurtherPeers(shape_, LiveCopies(), recall, coverage, links);
}

uint32_t BubbleSizes::LinksWanted(double recall, uint32_t positions) const {
  const double peers = positions;
  for (uint32_t links = 0; links <= kLinksPerPeerMax; ++links) {
    if (Recall({peers, peers * links}) >= recall) return links;
  }
  return kLinksPerPeerMax + 1;
}

uint32_t BubbleSizes::ConsultingRangeMax() const {
  if (!measured_) return kBubbleSizeMax;
  // As QueryRangeMax, for a search with the fewest digests with which one consults them.
  const double recall = -std::expm1(-options_.lambda);
  double most = ConsultingQuerySize(recall, kDigestShareMin * LinksConsulted());
  for (const Past& past : past_) {
    const double copies = PageCopies(past.shape, options_.lambda);
    const double links = kDigestShareMin * std::max(past.shape.degree - 2, 0.0);
    most = std::max<double>(most, FurtherPeers(past.shape, copies, recall, {}, links));
  }
  // Small bubbles are cut soon: a neighbor of the origin is left what it needs.
  return std::min(CeilWithin(kQueryRangeFactor * most + kConsultingRangeSlack, kBubbleSizeMax),
                  QueryRangeMax());
}

uint32_t BubbleSizes::QueryRangeMax() const {
  if (!measured_) return kBubbleSizeMax;
  const double recall = -std::expm1(-options_.lambda);
  double most = QuerySize(recall);
  double peers = shape_.peers;
  for (const Past& past : past_) {
    const double copies = PageCopies(past.shape, options_.lambda);
    most = std::max<double>(most, QueryPeers(past.shape, copies, recall));
    peers = std::max(peers, past.shape.peers);
  }
  return CeilWithin(kQueryRangeFactor * most, peers);
}

uint32_t BubbleSizes::PageRangeMax() const {
  if (!measured_) return kBubbleSizeMax;
  double most = PageSize();
  double peers = shape_.peers;
  for (const Past& past : past_) {
    most = std::max<double>(most, PageCopies(past.shape, options_.lambda));
    peers = std::max(peers, past.shape.peers);
  }
  return CeilWithin(kPageRangeFactor * most, peers);
}

bool BubbleSizes::EveryonePlausible() const {
  return !measured_ || options_.saturated_factor == 0 ||
         shape_.peers <= kEveryoneFactor * options_.saturated_factor * options_.lambda;
}

double BubbleSizes::Recall(const Coverage& coverage) const {
  return RecallOf(shape_, LiveCopies(), coverage);
}

double BubbleSizes::ExpectedRecall(const Coverage& coverage) const {
  // The mean of what decays from `oversize_` to 1 at an even rate.
  const double mean = oversize_ > 1 ? (oversize_ - 1) / std::log(oversize_) : 1;
  return RecallOf(shape_, std::min(LiveCopies() * mean, shape_.peers), coverage);
}

}  // namespace panal
