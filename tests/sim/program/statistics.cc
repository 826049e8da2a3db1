#include "tests/sim/program/statistics.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "common/base/check.h"

namespace panal::sim {
namespace {

constexpr int kResamples = 2000;
constexpr double kTail = 0.025;  // Above the upper end of a two-sided 95 % interval.

// How often each of `count` things is drawn in `count` draws with replacement.
std::vector<int> Draw(int count, Random& random) {
  std::vector<int> times(count, 0);
  for (int i = 0; i < count; ++i) ++times[random.Below(count)];
  return times;
}

// By query, the index of who searched among all who did.
std::vector<int> OriginsOf(const Misses& misses, int* count) {
  std::map<int, int> index;
  std::vector<int> origins;
  for (int query = 0; query < misses.queries; ++query) {
    const int origin = misses.origins.empty() ? query : misses.origins[query];
    origins.push_back(index.emplace(origin, std::ssize(index)).first->second);
  }
  *count = static_cast<int>(index.size());
  return origins;
}

double BootstrapHigh(const Misses& misses, Random& random) {
  int origin_count = 0;
  const std::vector<int> origin_of = OriginsOf(misses, &origin_count);
  std::vector<double> rates;
  for (int i = 0; i < kResamples; ++i) {
    const std::vector<int> records = Draw(misses.records, random);
    const std::vector<int> origins = Draw(origin_count, random);
    int64_t queries = 0;
    for (int query = 0; query < misses.queries; ++query) queries += origins[origin_of[query]];
    int64_t missed = 0;
    for (const Misses::Pair& pair : misses.missed) {
      missed += int64_t{records[pair.record]} * origins[origin_of[pair.query]];
    }
    rates.push_back(static_cast<double>(missed) /
                    static_cast<double>(int64_t{misses.records} * queries));
  }
  return Quantile(std::move(rates), 1 - kTail);
}

// P(X <= count) for X Poisson with this mean.
double PoissonAtMost(size_t count, double mean) {
  double term = std::exp(-mean);
  double sum = term;
  for (size_t i = 1; i <= count; ++i) {
    term *= mean / static_cast<double>(i);
    sum += term;
  }
  return sum;
}

// Largest mean under which as few as `count` are still seen with probability kTail.
double PoissonHigh(size_t count) {
  // Beyond this the normal approximation is exact enough, and exp(-mean) would vanish.
  if (count > 500) return static_cast<double>(count) + 1.96 * std::sqrt(static_cast<double>(count));
  double low = static_cast<double>(count);
  double high = static_cast<double>(count) + 10 * std::sqrt(static_cast<double>(count) + 1);
  for (int i = 0; i < 60; ++i) {
    double middle = (low + high) / 2;
    (PoissonAtMost(count, middle) > kTail ? low : high) = middle;
  }
  return high;
}

}  // namespace

double Misses::rate() const {
  return static_cast<double>(missed.size()) / static_cast<double>(pairs());
}

double WeibullOf(double shape, double scale, double unit) {
  return scale * std::pow(-std::log1p(-unit), 1 / shape);
}

Zipf::Zipf(int ranks, double exponent) {
  PANAL_CHECK(ranks > 0);
  double sum = 0;
  for (int i = 0; i < ranks; ++i) cumulative_.push_back(sum += std::pow(i + 1, -exponent));
}

int Zipf::Draw(Random& random) const {
  const double at = random.Unit() * cumulative_.back();
  const auto it = std::upper_bound(cumulative_.begin(), cumulative_.end(), at);
  return static_cast<int>(
      std::min<std::ptrdiff_t>(it - cumulative_.begin(), std::ssize(cumulative_) - 1));
}

double RateHigh(const Misses& misses, Random& random) {
  double poisson = PoissonHigh(misses.missed.size()) / static_cast<double>(misses.pairs());
  return std::min(1.0, std::max(BootstrapHigh(misses, random), poisson));
}

double JainIndex(const std::vector<double>& values) {
  double sum = 0;
  double squares = 0;
  for (double value : values) {
    sum += value;
    squares += value * value;
  }
  return squares == 0 ? 1 : sum * sum / (static_cast<double>(values.size()) * squares);
}

double Quantile(std::vector<double> values, double q) {
  PANAL_CHECK(!values.empty());
  auto at = static_cast<size_t>(q * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

}  // namespace panal::sim
