#include "server/options_parser.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>

#include <fstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "server/settings_file.h"
#include "tests/support/catalog_support.h"

namespace panal {
namespace {

using catalog_test::TempDir;

class OptionsParser : public testing::Test {
 protected:
  void TearDown() override {
    for (const std::string& name : set_) unsetenv(name.c_str());
  }

  void SetEnvironment(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }

  std::string File(const std::string& text) {
    std::string path = dir_.path() + "/panal.toml";
    std::ofstream(path) << text;
    return path;
  }

  static absl::StatusOr<CommandLine> Parse(std::vector<std::string> arguments) {
    std::vector<const char*> argv = {"panald"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    return ParseCommandLine(static_cast<int>(argv.size()), argv.data());
  }

  static NodeOptions ParseOrDie(std::vector<std::string> arguments) {
    auto command = Parse(std::move(arguments));
    EXPECT_TRUE(command.ok()) << command.status();
    return command.ok() ? command->options : NodeOptions();
  }

  static std::string Refusal(std::vector<std::string> arguments) {
    auto command = Parse(std::move(arguments));
    EXPECT_EQ(ReasonOf(command.status()), ErrorReason::kConfigInvalid);
    return std::string(command.status().message());
  }

  TempDir dir_;
  std::vector<std::string> set_;
};

#define EXPECT_CONTAINS(text, part) \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << text

TEST_F(OptionsParser, HasTheDocumentedDefaults) {
  NodeOptions options = ParseOrDie({});
  EXPECT_EQ(options.mesh_name, "panal");
  EXPECT_EQ(options.mesh_listen, "0.0.0.0:7401");
  EXPECT_EQ(options.api_listen, "127.0.0.1:7400");
  EXPECT_EQ(options.http_listen, "127.0.0.1:7402");
  EXPECT_EQ(options.stop_grace, absl::Seconds(5));
  EXPECT_EQ(options.storage_max_bytes, 0);
  EXPECT_EQ(options.dispatcher.classes[0].threads, 2);
  EXPECT_EQ(options.core.search.lambda, 9.21);
  EXPECT_TRUE(options.join.empty());
}

TEST_F(OptionsParser, PrefersFlagThenEnvironmentThenFileThenDefault) {
  std::string file = File("mesh = \"file\"\nlog-level = \"error\"\nworkers = 7\n");
  EXPECT_EQ(ParseOrDie({"--config", file}).mesh_name, "file");

  SetEnvironment("PANAL_MESH", "environment");
  NodeOptions options = ParseOrDie({"--config", file});
  EXPECT_EQ(options.mesh_name, "environment");
  EXPECT_EQ(options.log_level, "error");
  EXPECT_EQ(options.dispatcher.classes[3].threads, 7);

  EXPECT_EQ(ParseOrDie({"--config", file, "--mesh", "flag"}).mesh_name, "flag");
  EXPECT_EQ(ParseOrDie({"--mesh=flag"}).mesh_name, "flag");
}

TEST_F(OptionsParser, ReadsTheFileThatTheEnvironmentNames) {
  SetEnvironment("PANAL_CONFIG", File("mesh = \"file\"\n"));
  EXPECT_EQ(ParseOrDie({}).mesh_name, "file");
}

TEST_F(OptionsParser, TakesListsFromAllThreeAndAFlagReplacesThem) {
  std::string file = File("join = [\"f:1\", \"f:2\"]\nroot = [\"/srv\"]\n");
  NodeOptions options = ParseOrDie({"--config", file});
  ASSERT_EQ(options.join.size(), 2u);
  EXPECT_EQ(options.join[1].address, "f:2");
  EXPECT_EQ(options.roots, std::vector<std::string>{"/srv"});

  SetEnvironment("PANAL_JOIN", "e:1,e:2,e:3");
  EXPECT_EQ(ParseOrDie({"--config", file}).join.size(), 3u);
  options = ParseOrDie({"--config", file, "--join", "a:1,b:2", "--join", "c:3"});
  ASSERT_EQ(options.join.size(), 3u);
  EXPECT_EQ(options.join[2].address, "c:3");
}

TEST_F(OptionsParser, TakesSwitchesFromAllThree) {
  EXPECT_FALSE(ParseOrDie({}).listen_open);
  EXPECT_TRUE(ParseOrDie({"--listen-open"}).listen_open);
  EXPECT_TRUE(ParseOrDie({"--config", File("listen-open = true\n")}).listen_open);
  EXPECT_FALSE(ParseOrDie({"--config", File("listen-open = false\n")}).listen_open);
  SetEnvironment("PANAL_LISTEN_OPEN", "true");
  EXPECT_TRUE(ParseOrDie({}).listen_open);
}

TEST_F(OptionsParser, ReadsSizesAndDurationsForPeople) {
  NodeOptions options = ParseOrDie({"--storage-max", "1.5GiB", "--stop-grace", "250ms"});
  EXPECT_EQ(options.storage_max_bytes, 1'610'612'736);
  EXPECT_EQ(options.stop_grace, absl::Milliseconds(250));
  EXPECT_CONTAINS(Refusal({"--storage-max", "lots"}), "--storage-max");
  EXPECT_CONTAINS(Refusal({"--stop-grace", "5"}), "--stop-grace");
  EXPECT_CONTAINS(Refusal({"--config", File("storage-max = \"1 apple\"\n")}), "--storage-max");
}

TEST_F(OptionsParser, RefusesUnknownSettingsWithASuggestion) {
  std::string flag = Refusal({"--mesh-lisen", "h:1"});
  EXPECT_CONTAINS(flag, "mesh-lisen");
  EXPECT_CONTAINS(flag, "did you mean `mesh-listen`?");
  std::string key = Refusal({"--config", File("mesh-lisen = \"h:1\"\n")});
  EXPECT_CONTAINS(key, "panal.toml");
  EXPECT_CONTAINS(key, "did you mean `mesh-listen`?");
  EXPECT_CONTAINS(Refusal({"--config", File("frobnicate = 1\n")}), "--help lists the settings");
  EXPECT_CONTAINS(Refusal({"--config", File("[mesh]\nname = \"x\"\n")}), "unknown key");
  EXPECT_CONTAINS(Refusal({"--config", File("print-config = true\n")}), "unknown key");
  Refusal({"stray"});
}

TEST_F(OptionsParser, RefusesFilesItCannotRead) {
  EXPECT_CONTAINS(Refusal({"--config", "/nowhere/panal.toml"}), "cannot be read");
  EXPECT_CONTAINS(Refusal({"--config", dir_.path()}), "cannot be read");
  std::string padding(kSettingsFileSizeMax - strlen("mesh = \"m\"\n"), ' ');
  EXPECT_EQ(ParseOrDie({"--config", File("mesh = \"m\"\n" + padding)}).mesh_name, "m");
  EXPECT_CONTAINS(Refusal({"--config", File("mesh = \"m\"\n " + padding)}), "limit");
}

TEST_F(OptionsParser, SaysWhereAFileIsNoToml) {
  for (const auto& [text, where] :
       std::vector<std::pair<std::string, std::string>>{{"mesh\n", ":1:"},
                                                        {"mesh = lab\n", ":1:"},
                                                        {"\nmesh = \"lab\n", ":2:"},
                                                        {"mesh = [\"a\"\n", ":1:"},
                                                        {"\xff\xfe", ":1:"},
                                                        {"\n\nmesh =\n", ":3:"},
                                                        {"mesh = \"a\"\nmesh = \"b\"\n", ":2:"}}) {
    EXPECT_CONTAINS(Refusal({"--config", File(text)}), "panal.toml" + where);
  }
}

TEST_F(OptionsParser, SaysWhereAValueIsOfTheWrongKind) {
  EXPECT_CONTAINS(Refusal({"--config", File("\nworkers = \"many\"\n")}), "panal.toml:2: ");
  EXPECT_CONTAINS(Refusal({"--config", File("mesh = true\n")}),
                  "panal.toml:1: `mesh` is no switch");
  EXPECT_CONTAINS(Refusal({"--config", File("mesh = [\"a\"]\n")}), "takes one value");
  EXPECT_CONTAINS(Refusal({"--config", File("mesh = 1979-05-27\n")}), "quote it");
  EXPECT_CONTAINS(Refusal({"--config", File("join = [[]]\n")}), "`join` lists what is no text");
  EXPECT_CONTAINS(Refusal({"--config", File("listen-open = \"true\"\n")}), "without quotes");
}

TEST_F(OptionsParser, ReadsWhatTomlHas) {
  NodeOptions options = ParseOrDie(
      {"--config", File("# all\r\nmesh = 'lab' # one\r\nstorage-max = 1_000 \ncapacity = 1\n"
                        "join = [\n  \"a:1\", # two\n  \"b:2\",\n]\nadvertise = []\n")});
  EXPECT_EQ(options.mesh_name, "lab");
  EXPECT_EQ(options.storage_max_bytes, 1000);
  EXPECT_EQ(options.join.size(), 2u);
  EXPECT_TRUE(options.advertise.empty());
}

TEST_F(OptionsParser, RefusesUnknownNamesInTheEnvironment) {
  SetEnvironment("PANAL_STOREAGE_MAX", "5G");
  EXPECT_CONTAINS(Refusal({}), "did you mean `PANAL_STORAGE_MAX`?");
  EXPECT_TRUE(Parse({"--help"}).ok());
  unsetenv("PANAL_STOREAGE_MAX");
  SetEnvironment("PANAL_FROBNICATE", "");
  EXPECT_CONTAINS(Refusal({}), "--help lists the settings");
  unsetenv("PANAL_FROBNICATE");
  SetEnvironment("PANAL_PRINT_CONFIG", "true");
  EXPECT_CONTAINS(Refusal({}), "PANAL_PRINT_CONFIG");
}

TEST_F(OptionsParser, LeavesTheEnvironmentOfOthersAlone) {
  SetEnvironment("PANAL_API", "127.0.0.1:7400");
  SetEnvironment("PANAL_TOKEN", "secret");
  SetEnvironment("PANAL_NETNS_3", "name");
  SetEnvironment("PANAL_SERVICE_HOST", "10.0.0.1");
  SetEnvironment("PANAL_PORT", "tcp://10.0.0.1:7400");
  SetEnvironment("PANAL_PORT_7400_TCP_ADDR", "10.0.0.1");
  SetEnvironment("PANALYSIS", "1");
  ParseOrDie({});
  SetEnvironment("PANAL_PORT", "7400");
  EXPECT_CONTAINS(Refusal({}), "PANAL_PORT");
}

TEST_F(OptionsParser, ChecksValuesAsValidateDoes) {
  EXPECT_CONTAINS(Refusal({"--workers", "0"}), "0");
  EXPECT_CONTAINS(Refusal({"--workers", "x"}), "workers");
  EXPECT_CONTAINS(Refusal({"--join", "nobody"}), "--join");
  EXPECT_CONTAINS(Refusal({"--api-listen", "0.0.0.0:1"}), "--listen-open");
  EXPECT_CONTAINS(Refusal({"--log-level", "verbose"}), "--log-level");
}

TEST_F(OptionsParser, PrintsHelpAndVersionInsteadOfStarting) {
  auto help = Parse({"--help"});
  ASSERT_TRUE(help.ok()) << help.status();
  EXPECT_CONTAINS(help->print, "--mesh-listen");
  EXPECT_CONTAINS(help->print, "PANAL_MESH_LISTEN");
  auto version = Parse({"--version"});
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_CONTAINS(version->print, absl::StrCat("panald ", kVersion));
}

TEST_F(OptionsParser, PrintedSettingsGiveTheSameSettingsAgain) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"--mesh",
                                              "My \"mesh\" \\ of bees",
                                              "--join",
                                              "a:1,b:2",
                                              "--root",
                                              "/srv,/home",
                                              "--advertise",
                                              "h:1",
                                              "--listen-open",
                                              "--api-token-file",
                                              "/etc/panal/tokens",
                                              "--storage-max",
                                              "20GiB",
                                              "--stop-grace",
                                              "1m30s",
                                              "--capacity",
                                              "0.123456789",
                                              "--workers",
                                              "3",
                                              "--saturated-factor",
                                              "0",
                                              "--log-level",
                                              "debug",
                                              "--http-listen",
                                              "off",
                                              "--data-dir",
                                              "/var/lib/with space"}}) {
    std::vector<std::string> printing = arguments;
    printing.push_back("--print-config");
    auto first = Parse(printing);
    ASSERT_TRUE(first.ok()) << first.status();
    ASSERT_FALSE(first->print.empty());

    auto second = Parse({"--config", File(first->print), "--print-config"});

    ASSERT_TRUE(second.ok()) << second.status() << "\n" << first->print;
    EXPECT_EQ(second->print, first->print);
    EXPECT_EQ(second->options.mesh_name, first->options.mesh_name);
    EXPECT_EQ(second->options.core.capacity, first->options.core.capacity);
    EXPECT_EQ(second->options.roots, first->options.roots);
  }
}

}  // namespace
}  // namespace panal
