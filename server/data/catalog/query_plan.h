// From a query to SQL that proposes candidates: a superset of what Matches() accepts.
#pragma once

#include <string>
#include <vector>

#include "common/model/query.h"
#include "server/data/catalog/sqlite.h"

namespace panal::catalog {

// A SELECT of kRecordColumns and the page's publisher, over pages that expire after a time;
// candidates come newest first where that costs nothing.
struct QueryPlan {
  std::string sql;
  std::vector<Value> values;
};

// What drives the search, by what the query requires of every match: its words, else an id, else a
// kind that is rare (object, peer), else all records are read. Conditions on kind, id, size and
// publisher that every match fulfills are left to SQLite, before a record is decoded.
QueryPlan PlanQuery(const Query& query, int64_t now_ms);

// The same over records that came at `since_ms` or later, the newest first; when they came drives
// the search.
QueryPlan PlanArrivals(const Query& query, int64_t now_ms, int64_t since_ms);

}  // namespace panal::catalog
