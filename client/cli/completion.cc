// panal completion: scripts that complete verbs and options, made from the parser's own tables.
#include <CLI/CLI.hpp>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/cli/verb.h"

namespace panal::cli {
namespace {

struct Verb {
  std::string help;
  std::vector<std::string> options;
};

using Verbs = std::map<std::string, Verb>;

std::vector<std::string> OptionsOf(const CLI::App& app) {
  std::vector<std::string> options;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
    for (const std::string& name : option->get_snames()) options.push_back("-" + name);
  }
  return options;
}

Verbs VerbsOf(const CLI::App& app) {
  Verbs verbs;
  for (const CLI::App* verb : app.get_subcommands({})) {
    verbs[verb->get_name()] = {verb->get_description(), OptionsOf(*verb)};
  }
  return verbs;
}

std::string Names(const Verbs& verbs) {
  return absl::StrJoin(verbs, " ", [](std::string* out, const auto& verb) { *out += verb.first; });
}

std::string Bash(const Verbs& verbs, const std::vector<std::string>& common) {
  std::string cases;
  for (const auto& [name, verb] : verbs) {
    absl::StrAppend(&cases, "    ", name, ") words=\"", absl::StrJoin(verb.options, " "),
                    "\" ;;\n");
  }
  return absl::StrCat(
      "# Load with: source <(panal completion bash)\n"
      "_panal() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} verb= words= i\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    case ${COMP_WORDS[i]} in -*) ;; *) verb=${COMP_WORDS[i]}; break ;; esac\n"
      "  done\n"
      "  case $verb in\n    \"\") words=\"",
      Names(verbs), "\" ;;\n", cases, "  esac\n  case $word in\n    -*) words=\"$words ",
      absl::StrJoin(common, " "),
      "\" ;;\n  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
      "  case $verb in add|get) COMPREPLY+=($(compgen -f -- \"$word\")) ;; esac\n"
      "}\ncomplete -F _panal panal\n");
}

std::string Zsh(const Verbs& verbs, const std::vector<std::string>& common) {
  std::string list;
  std::string cases;
  for (const auto& [name, verb] : verbs) {
    absl::StrAppend(&list, "    '", name, ":", absl::StrReplaceAll(verb.help, {{"'", ""}}), "'\n");
    absl::StrAppend(&cases, "    ", name, ") compadd -- ", absl::StrJoin(verb.options, " "), " ",
                    absl::StrJoin(common, " "), "; _files ;;\n");
  }
  return absl::StrCat(
      "#compdef panal\n# Load with: source <(panal completion zsh)\n"
      "_panal() {\n  local -a verbs\n  verbs=(\n",
      list,
      "  )\n  if (( CURRENT == 2 )); then\n    _describe verb verbs\n    return\n  fi\n"
      "  case ${words[2]} in\n",
      cases, "  esac\n}\n(( $+functions[compdef] )) && compdef _panal panal\n");
}

std::string Fish(const Verbs& verbs, const std::vector<std::string>& common) {
  std::string out = "# Load with: panal completion fish | source\n";
  auto option = [&](const std::string& condition, const std::string& name) {
    bool longer = name.size() > 2;
    absl::StrAppend(&out, "complete -c panal", condition, longer ? " -l " : " -s ",
                    name.substr(longer ? 2 : 1), "\n");
  };
  for (const auto& [name, verb] : verbs) {
    absl::StrAppend(&out, "complete -c panal -n __fish_use_subcommand -a ", name, " -d '",
                    absl::StrReplaceAll(verb.help, {{"'", ""}}), "'\n");
    for (const std::string& one : verb.options) {
      option(absl::StrCat(" -n '__fish_seen_subcommand_from ", name, "'"), one);
    }
  }
  for (const std::string& one : common) option("", one);
  return out;
}

}  // namespace

void AddCompletion(CLI::App& app, Context&, int& exit_code) {
  auto shell = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("completion", "a completion script for a shell");
  verb->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  verb->callback([&app, &exit_code, shell] {
    Verbs verbs = VerbsOf(app);
    std::vector<std::string> common = OptionsOf(app);
    std::string script = *shell == "bash"  ? Bash(verbs, common)
                         : *shell == "zsh" ? Zsh(verbs, common)
                                           : Fish(verbs, common);
    std::fputs(script.c_str(), stdout);
    exit_code = kExitOk;
  });
}

}  // namespace panal::cli
