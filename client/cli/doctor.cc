// panal doctor: what is wrong with the peer, and what to do.
#include <nlohmann/json.hpp>

#include "client/cli/verb.h"

namespace panal::cli {
namespace {

int Doctor(const Context& context) {
  auto client = context.Connect();
  if (!client.ok()) return Fail(client.status());
  auto diagnosis = (*client)->Diagnose();
  if (!diagnosis.ok()) return Fail(diagnosis.status());
  bool sound = true;
  for (const v1::Finding& finding : diagnosis->findings()) {
    sound = sound && finding.severity() != "error";
    if (context.json()) {
      PrintJson({{"severity", finding.severity()},
                 {"subject", finding.subject()},
                 {"message", finding.message()},
                 {"advice", finding.advice()}});
      continue;
    }
    std::printf("%-8s %-10s %s\n", finding.severity().c_str(), finding.subject().c_str(),
                Printable(finding.message()).c_str());
    if (!finding.advice().empty()) {
      std::printf("%-8s %-10s -> %s\n", "", "", Printable(finding.advice()).c_str());
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
