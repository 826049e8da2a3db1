#include "server/processing/search/sizes.h"

#include <algorithm>
#include <cmath>

namespace panal {
namespace {

// Sizes are computed in doubles; a result this close above a whole number is that number.
constexpr double kRounding = 1e-9;

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
    return shape;
  }
  shape.mass = std::clamp(d1 * d1 / d2, 1.0, shape.peers);
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

double RecallOf(const MeshShape& shape, double copies, double reached) {
  if (reached >= std::round(shape.peers)) return 1;
  if (reached <= 0) return 0;
  const double exponent = (shape.peers / shape.mass) * (copies / shape.compensator);
  return -std::expm1(std::log1p(-reached / shape.peers) * exponent);
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
  while (!past_.empty() && past_.front().until < now) past_.pop_front();
}

uint32_t BubbleSizes::MeshSize() const {
  return CeilWithin(std::round(shape_.peers), shape_.peers);
}

bool BubbleSizes::Saturated() const {
  return options_.saturated_factor > 0 &&
         shape_.peers <= options_.saturated_factor * options_.lambda;
}

uint32_t BubbleSizes::PageSize() const {
  if (Saturated()) return MeshSize();
  return CeilWithin(scale_ * PageCopies(shape_, options_.lambda), shape_.peers);
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

bool BubbleSizes::PageToEveryonePlausible() const {
  return !measured_ || options_.saturated_factor == 0 ||
         shape_.peers <= kEveryoneFactor * options_.saturated_factor * options_.lambda;
}

double BubbleSizes::Recall(uint64_t reached) const {
  return RecallOf(shape_, LiveCopies(), static_cast<double>(reached));
}

}  // namespace panal
