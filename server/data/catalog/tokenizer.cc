#include "server/data/catalog/tokenizer.h"

#include <sqlite3.h>

#include "common/base/status.h"
#include "common/model/terms.h"

namespace panal::catalog {
namespace {

// FTS5 wants an object; the tokenizer has no state, so all share this one.
char g_tokenizer;

int Create(void*, const char**, int, Fts5Tokenizer** tokenizer) {
  *tokenizer = reinterpret_cast<Fts5Tokenizer*>(&g_tokenizer);
  return SQLITE_OK;
}

void Delete(Fts5Tokenizer*) {}

int Tokenize(Fts5Tokenizer*, void* context, int /*flags*/, const char* text, int size,
             int (*sink)(void*, int, const char*, int, int, int)) {
  int code = SQLITE_OK;
  absl::string_view view(text == nullptr ? "" : text, static_cast<size_t>(size));
  ForEachTerm(view, [&](absl::string_view term, size_t begin, size_t end) {
    code = sink(context, 0, term.data(), static_cast<int>(term.size()), static_cast<int>(begin),
                static_cast<int>(end));
    return code == SQLITE_OK;
  });
  return code;
}

// The FTS5 entry points of a connection, by the documented way: a pointer bound to fts5(?).
fts5_api* Fts5Api(sqlite3* db) {
  fts5_api* api = nullptr;
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &statement, nullptr) == SQLITE_OK) {
    sqlite3_bind_pointer(statement, 1, static_cast<void*>(&api), "fts5_api_ptr", nullptr);
    sqlite3_step(statement);
  }
  sqlite3_finalize(statement);
  return api;
}

}  // namespace

absl::Status RegisterTokenizer(Connection& connection) {
  fts5_api* api = Fts5Api(connection.handle());
  if (api == nullptr) {
    return Error(ErrorReason::kStorageFailed, "this SQLite has no full-text index (FTS5)");
  }
  fts5_tokenizer tokenizer = {.xCreate = Create, .xDelete = Delete, .xTokenize = Tokenize};
  int code = api->xCreateTokenizer(api, "panal", nullptr, &tokenizer, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : connection.LastError();
}

}  // namespace panal::catalog
