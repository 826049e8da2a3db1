// Hits and summaries as `panal search` prints them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "client/cli/output.h"
#include "client/cli/verb.h"

namespace panal::cli {

// A hit as a line of JSON or of text.
void PrintHit(const Context& context, const v1::Hit& hit);

// `{"summary": …}`
Json SummaryJson(const v1::SearchSummary& summary);

// ` (incomplete: timeout)`, ` (cut short: limit)`, or nothing.
std::string Shortfall(const v1::SearchSummary& summary);

}  // namespace panal::cli
