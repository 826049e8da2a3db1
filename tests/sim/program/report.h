// Prints rows of results as a table, CSV or JSON.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/program/parameters.h"

namespace panal::sim {

enum class Format { kTable, kCsv, kJson };

// JSON: one object a row, one row a line.
std::string Print(const std::vector<Row>& rows, Format format);

}  // namespace panal::sim
