// A bounded map that forgets what was not used for the longest time.
#pragma once

#include <list>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/base/check.h"

namespace panal {

// Not thread-safe. Find and Insert cost O(1).
template <typename Key, typename Value>
class LruCache {
 public:
  // REQUIRES: capacity > 0, in entries.
  explicit LruCache(size_t capacity) : capacity_(capacity) { PANAL_CHECK(capacity > 0); }

  // A copy of the value, which is now the most recently used; nothing when it is not here.
  std::optional<Value> Find(const Key& key) {
    auto found = index_.find(key);
    if (found == index_.end()) return std::nullopt;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->second;
  }

  // Inserts or replaces; drops the least recently used entry when there are too many.
  void Insert(const Key& key, Value value) {
    auto found = index_.find(key);
    if (found != index_.end()) {
      entries_.erase(found->second);
      index_.erase(found);
    }
    entries_.emplace_front(key, std::move(value));
    index_[key] = entries_.begin();
    if (entries_.size() <= capacity_) return;
    index_.erase(entries_.back().first);
    entries_.pop_back();
  }

  void Erase(const Key& key) {
    auto found = index_.find(key);
    if (found == index_.end()) return;
    entries_.erase(found->second);
    index_.erase(found);
  }

  size_t size() const { return entries_.size(); }

  // Calls `visit` with every value, the most recently used first.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const auto& [key, value] : entries_) visit(value);
  }

 private:
  using Entries = std::list<std::pair<Key, Value>>;

  const size_t capacity_;
  Entries entries_;  // Most recently used first.
  absl::flat_hash_map<Key, typename Entries::iterator> index_;
};

}  // namespace panal
