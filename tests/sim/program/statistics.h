// Figures of experiments and how sure they are.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/random.h"

namespace panal::sim {

// Which records which queries missed: the pairs are not independent, since one query meets all
// records with the same peers, and one record all queries with the same copies.
struct Misses {
  int records = 0;
  int queries = 0;

  struct Pair {
    int record;
    int query;
  };

  std::vector<Pair> missed;
  // By query: who searched. The queries of one peer begin with the same links. Empty: each has its own.
  std::vector<int> origins;

  int64_t pairs() const { return static_cast<int64_t>(records) * queries; }

  double rate() const;
};

// The value of a Weibull distribution that `unit`, from [0, 1), draws: exponential for shape 1.
double WeibullOf(double shape, double scale, double unit);

// Ranks drawn by Zipf's law: that of index i in proportion to (i + 1)^-exponent.
class Zipf {
 public:
  // REQUIRES: ranks > 0.
  Zipf(int ranks, double exponent);

  // From 0 to ranks - 1.
  int Draw(Random& random) const;

 private:
  std::vector<double> cumulative_;
};

// Upper end of the 95 % interval of the rate: the larger of a bootstrap that draws records and
// origins with all their queries anew, both with replacement (Owen 2007, "The pigeonhole bootstrap"), and of the exact
// Poisson bound for as many misses, which alone says something where none or few were seen.
double RateHigh(const Misses& misses, Random& random);

// Jain's index of fairness: (sum x)^2 / (n * sum x^2), 1 when all are equal.
double JainIndex(const std::vector<double>& values);

// The value that the share `q` of `values` does not exceed. `values` must not be empty.
double Quantile(std::vector<double> values, double q);

}  // namespace panal::sim
