// The catalog: publishing, signing, searching, and what 10,000 and 100,000 files cost in counted
// work.
#include <benchmark/benchmark.h>

#include "tests/support/catalog_support.h"

namespace panal::catalog_test {
namespace {

constexpr int kBatch = 1'000;
const PeerId kSelf = Peer("self");

// On the disk, unlike the tests' folders: a sync is part of what is measured.
class DiskDir {
 public:
  DiskDir() : path_(std::filesystem::temp_directory_path() / "panal-bench-XXXXXX") {
    PANAL_CHECK(mkdtemp(path_.data()) != nullptr);
  }

  DiskDir(const DiskDir&) = delete;
  DiskDir& operator=(const DiskDir&) = delete;

  ~DiskDir() { std::filesystem::remove_all(path_); }

  CatalogOptions Options() const { return {.path = path_ + "/catalog.db"}; }

 private:
  std::string path_;
};

std::vector<PublishedFile> Files(int first, int count) {
  std::vector<PublishedFile> files;
  for (int i = first; i < first + count; ++i) {
    files.push_back(
        MakeFile(absl::StrCat("doc/package ", i / 40, "/file ", i, i % 3 ? ".txt" : ".html"),
                 absl::StrCat(i), {{"lang", i % 2 ? "en" : "es"}}, "doc"));
  }
  return files;
}

void PublishAll(Catalog& catalog, int count) {
  for (int i = 0; i < count; i += kBatch) PANAL_CHECK(catalog.Publish(Files(i, kBatch)).ok());
}

void CountWork(benchmark::State& state, SqliteCatalog& catalog) {
  catalog::WorkCounters work = catalog.writer().counters().work;
  auto files = static_cast<double>(state.range(0));
  state.counters["rows_per_file"] = static_cast<double>(work.rows_changed) / files;
  state.counters["steps_per_file"] = static_cast<double>(work.vm_steps) / files;
  state.counters["pages_per_file"] = static_cast<double>(work.pages_written) / files;
}

void BM_Publish(benchmark::State& state) {
  for (auto _ : state) {
    DiskDir dir;
    auto catalog = OpenOrDie(dir.Options());
    PublishAll(*catalog, static_cast<int>(state.range(0)));
    CountWork(state, *catalog);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(BM_Publish)->Arg(1'000)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

// Publishing, then storing the signed pages, which builds the index.
void BM_PublishAndIndex(benchmark::State& state) {
  for (auto _ : state) {
    DiskDir dir;
    auto catalog = OpenOrDie(dir.Options());
    PublishAll(*catalog, static_cast<int>(state.range(0)));
    SignDirtyPages(*catalog, kSelf);
    CountWork(state, *catalog);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(BM_PublishAndIndex)->Arg(1'000)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

// An indexed catalog of so many files; the last one asked for stays, a million take minutes to
// make.
SqliteCatalog& Indexed(int files) {
  static int made = 0;
  static std::unique_ptr<DiskDir> dir;
  static std::unique_ptr<SqliteCatalog> catalog;
  if (made != files) {
    catalog = nullptr;
    dir = std::make_unique<DiskDir>();
    catalog = OpenOrDie(dir->Options());
    PublishAll(*catalog, files);
    SignDirtyPages(*catalog, kSelf);
    made = files;
  }
  return *catalog;
}

void BM_Search(benchmark::State& state, const char* text) {
  SqliteCatalog& catalog = Indexed(static_cast<int>(state.range(0)));
  Query query = ParseOrDie(text);
  size_t hits = 0;
  bool out_of_time = false;
  for (auto _ : state) {
    auto result = catalog.Search(query, 20, absl::Seconds(10), kNow);
    hits = result->hits.size();
    out_of_time = result->out_of_time;
  }
  state.counters["hits"] = static_cast<double>(hits);
  state.counters["out_of_time"] = out_of_time ? 1 : 0;
}

void RegisterSearches() {
  const std::pair<const char*, const char*> queries[] = {
      {"OneRareWord", "777"},
      {"TwoCommonWords", "file en"},
      {"TwoCommonWordsThatNeverMeet", "en es"},
      {"Phrase", "\"package 77\""},
      {"Prefix", "pack*"},
      {"NoWordAtAll", "size>1G"},
  };
  for (int files : {10'000, 100'000, 1'000'000}) {
    for (const auto& [name, text] : queries) {
      benchmark::RegisterBenchmark(absl::StrCat("BM_Search/", name).c_str(), BM_Search, text)
          ->Arg(files)
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace panal::catalog_test

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  panal::catalog_test::RegisterSearches();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
