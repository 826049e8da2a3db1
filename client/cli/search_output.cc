#include "client/cli/search_output.h"

#include "absl/strings/str_cat.h"
#include "common/base/units.h"

namespace panal::cli {
namespace {

Json HitJson(const v1::Hit& hit) {
  Json attributes = Json::object();
  for (const auto& [key, value] : hit.attributes()) attributes[key] = value;
  return {{"id", hit.id()},           {"kind", hit.kind()},       {"name", hit.name()},
          {"size", hit.size_bytes()}, {"attributes", attributes}, {"publisher", hit.publisher()},
          {"sources", hit.sources()}};
}

}  // namespace

void PrintHit(const Context& context, const v1::Hit& hit) {
  if (context.json()) return PrintJson(HitJson(hit));
  std::string line = absl::StrCat(hit.id(), "  ", hit.kind(), "  ", FormatSize(hit.size_bytes()),
                                  "  ", hit.name());
  for (const auto& [key, value] : hit.attributes()) absl::StrAppend(&line, "  ", key, "=", value);
  WriteOut(Printable(line) + "\n");
}

Json SummaryJson(const v1::SearchSummary& summary) {
  return {{"summary",
           {{"peers_reached", summary.peers_reached()},
            {"mesh_size", summary.mesh_size()},
            {"recall", summary.recall()},
            {"complete", summary.complete()},
            {"elapsed_ms", summary.elapsed_ms()},
            {"hits", summary.hits()},
            {"cut_short", summary.cut_short()}}}};
}

std::string Shortfall(const v1::SearchSummary& summary) {
  if (summary.complete() && summary.cut_short().empty()) return "";
  const bool wished = summary.complete() || summary.cut_short() == "enough";
  std::string text = wished ? " (cut short" : " (incomplete";
  if (!summary.cut_short().empty()) absl::StrAppend(&text, ": ", Printable(summary.cut_short()));
  return text + ")";
}

}  // namespace panal::cli
