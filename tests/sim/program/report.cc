#include "tests/sim/program/report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace panal::sim {
namespace {

std::string Text(const Value& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) return absl::StrCat(*number);
  if (const auto* number = std::get_if<uint64_t>(&value)) return absl::StrCat(*number);
  if (const auto* number = std::get_if<double>(&value)) return absl::StrFormat("%.6g", *number);
  return std::get<std::string>(value);
}

// Names and texts of this program hold nothing that JSON would escape, nor quotation marks.
std::string JsonText(const Value& value) {
  if (std::holds_alternative<std::string>(value)) return absl::StrCat("\"", Text(value), "\"");
  return Text(value);
}

std::string Json(const Row& row) {
  std::string text = absl::StrJoin(row.values(), ", ", [](std::string* out, const auto& value) {
    absl::StrAppend(out, "\"", value.first, "\": ", JsonText(value.second));
  });
  return absl::StrCat("{", text, "}\n");
}

std::vector<std::string> Names(const Row& row) {
  std::vector<std::string> names;
  for (const auto& [name, value] : row.values()) names.push_back(name);
  return names;
}

std::vector<std::string> Texts(const Row& row) {
  std::vector<std::string> texts;
  for (const auto& [name, value] : row.values()) texts.push_back(Text(value));
  return texts;
}

std::string CsvText(const std::string& text) {
  return text.find(',') == std::string::npos ? text : absl::StrCat("\"", text, "\"");
}

std::string Csv(const std::vector<Row>& rows) {
  std::string text = absl::StrCat(absl::StrJoin(Names(rows.front()), ","), "\n");
  for (const Row& row : rows) {
    std::vector<std::string> texts = Texts(row);
    for (std::string& one : texts) one = CsvText(one);
    absl::StrAppend(&text, absl::StrJoin(texts, ","), "\n");
  }
  return text;
}

// Results stand below each other: there are more of them than rows.
std::string Table(const std::vector<Row>& rows) {
  size_t name_width = 0;
  for (const std::string& name : Names(rows.front()))
    name_width = std::max(name_width, name.size());
  std::string text;
  for (size_t i = 0; i < rows.front().values().size(); ++i) {
    absl::StrAppendFormat(&text, "%-*s", static_cast<int>(name_width),
                          rows.front().values()[i].first);
    for (const Row& row : rows)
      absl::StrAppendFormat(&text, "  %14s", Text(row.values()[i].second));
    absl::StrAppend(&text, "\n");
  }
  return text;
}

}  // namespace

std::string Print(const std::vector<Row>& rows, Format format) {
  if (rows.empty()) return "";
  switch (format) {
    case Format::kTable:
      return Table(rows);
    case Format::kCsv:
      return Csv(rows);
    case Format::kJson:
      break;
  }
  std::string text;
  for (const Row& row : rows) absl::StrAppend(&text, Json(row));
  return text;
}

}  // namespace panal::sim
