// panal doctor: what is wrong with the peer, and what to do.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "client/cli/verb.h"

namespace panal::cli {
namespace {

void PrintFinding(const v1::Finding& finding) {
  PrintJson({{"severity", finding.severity()},
             {"subject", finding.subject()},
             {"message", finding.message()},
             {"advice", finding.advice()}});
}

// A peer that does not answer is what is wrong, so that is a finding as well.
int NotExamined(const Context& context, const absl::Status& why) {
  v1::Finding finding;
  finding.set_severity("error");
  finding.set_subject("peer");
  std::vector<std::string> parts =
      absl::StrSplit(std::string(why.message()), absl::MaxSplits("; ", 1));
  finding.set_message(parts[0]);
  finding.set_advice(TokenAdvice(ReasonNameOf(why)));
  if (finding.advice().empty()) {
    finding.set_advice(absl::StrCat("make sure that panald runs and that ", context.api,
                                    " is its --api-listen address; --api HOST:PORT or PANAL_API "
                                    "chooses another"));
  }
  if (context.json()) PrintFinding(finding);
  return Fail(why);
}

int Doctor(const Context& context) {
  auto client = context.Connect();
  if (!client.ok()) return NotExamined(context, client.status());
  auto diagnosis = (*client)->Diagnose();
  if (!diagnosis.ok()) return NotExamined(context, diagnosis.status());
  bool sound = true;
  for (const v1::Finding& finding : diagnosis->findings()) {
    sound = sound && finding.severity() != "error";
    if (context.json()) {
      PrintFinding(finding);
      continue;
    }
    WriteOut(absl::StrFormat("%-8s %-10s %s\n", Printable(finding.severity()),
                             Printable(finding.subject()), Printable(finding.message())));
    if (!finding.advice().empty()) {
      WriteOut(absl::StrFormat("%-8s %-10s -> %s\n", "", "", Printable(finding.advice())));
    }
  }
  return sound ? kExitOk : kExitFailed;
}

}  // namespace

void AddDoctor(CLI::App& app, Context& context, int& exit_code) {
  app.add_subcommand("doctor", "what is wrong with the peer, and what to do")->callback([&] {
    exit_code = Doctor(context);
  });
}

}  // namespace panal::cli
