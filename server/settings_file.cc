#include "server/settings_file.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"

namespace panal {
namespace {

using Kind = SettingsItem::Kind;

absl::Status Invalid(absl::string_view message) {
  return Error(ErrorReason::kConfigInvalid, message);
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kSettingsFileSizeMax + 1, '\0');
  // A folder can be opened, and then not be read.
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (!file && !file.eof())) {
    return Invalid(absl::StrCat("--config ", path, ": cannot be read"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kSettingsFileSizeMax) {
    return Invalid(absl::StrCat("--config ", path, ": is larger than the limit of ",
                                kSettingsFileSizeMax, " bytes"));
  }
  return text;
}

// The text of one value that is no list; false where no setting can have it.
bool TextOf(const toml::node& node, Kind* kind, std::string* text) {
  if (const auto* value = node.as_string()) {
    *kind = Kind::kText;
    *text = value->get();
  } else if (const auto* whole = node.as_integer()) {
    *kind = Kind::kNumber;
    *text = absl::StrCat(whole->get());
  } else if (const auto* number = node.as_floating_point()) {
    *kind = Kind::kNumber;
    *text = absl::StrFormat("%.17g", number->get());
  } else if (const auto* on = node.as_boolean()) {
    *kind = Kind::kSwitch;
    *text = on->get() ? "true" : "false";
  } else {
    return false;
  }
  return true;
}

absl::StatusOr<SettingsItem> ItemOf(const std::string& path, const std::string& key,
                                    const toml::node& node) {
  SettingsItem item{.key = key, .where = absl::StrCat(path, ":", node.source().begin.line)};
  std::string text;
  if (const auto* list = node.as_array()) {
    item.kind = Kind::kList;
    for (const toml::node& element : *list) {
      Kind ignored = Kind::kText;
      if (!TextOf(element, &ignored, &text)) {
        return Invalid(absl::StrCat(item.where, ": `", key, "` lists what is no text or number"));
      }
      item.values.push_back(text);
    }
    return item;
  }
  if (node.is_table()) {
    return Invalid(absl::StrCat(item.where, ": unknown key `", key,
                                "`: settings stand for themselves, in no table"));
  }
  if (!TextOf(node, &item.kind, &text)) {
    return Invalid(absl::StrCat(item.where, ": `", key, "` is a date or time; quote it"));
  }
  item.values = {text};
  return item;
}

}  // namespace

absl::StatusOr<std::vector<SettingsItem>> ReadSettingsFile(const std::string& path) {
  PANAL_ASSIGN_OR_RETURN(std::string text, ReadText(path));
  toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return Invalid(absl::StrCat(path, ":", error.source().begin.line, ":",
                                error.source().begin.column, ": ",
                                std::string(error.description())));
  }
  std::vector<std::pair<uint32_t, SettingsItem>> items;
  for (const auto& [key, node] : parsed.table()) {
    PANAL_ASSIGN_OR_RETURN(SettingsItem item, ItemOf(path, std::string(key.str()), node));
    items.emplace_back(node.source().begin.line, std::move(item));
  }
  std::stable_sort(items.begin(), items.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<SettingsItem> ordered;
  for (auto& [line, item] : items) ordered.push_back(std::move(item));
  return ordered;
}

}  // namespace panal
