// panal completion: scripts that complete verbs, options and what these take, made from the
// parser's own tables.
#include <CLI/CLI.hpp>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/cli/verb.h"

namespace panal::cli {
namespace {

// What stands behind an option or in the place of an argument.
struct Value {
  std::vector<std::string> choices;
  bool file = false;
};

struct Verb {
  std::string help;
  std::vector<std::string> options;
  Value argument;
};

struct Tables {
  std::map<std::string, Verb> verbs;
  std::vector<std::string> common;      // Options that every verb takes.
  std::map<std::string, Value> values;  // By name: the options that take a value.
};

// CLI11 describes a set of words as `TEXT:{one,other}`.
Value ValueOf(const CLI::Option& option) {
  std::string type = option.get_type_name();
  size_t open = type.find('{');
  Value value;
  if (open != std::string::npos) {
    absl::string_view set = type;
    set = set.substr(open + 1, set.find('}') - open - 1);
    value.choices = absl::StrSplit(set, ',');
  }
  value.file = type == "PATH" || (option.get_positional() && option.get_name() == "PATH");
  return value;
}

void CollectValue(const std::string& name, const Value& value,
                  std::map<std::string, Value>* values) {
  const auto [at, fresh] = values->emplace(name, value);
  // The tables do not tell verbs apart: where two differ, no word is offered rather than a wrong one.
  if (!fresh && at->second.choices != value.choices) at->second.choices.clear();
}

void CollectValues(const CLI::App& app, std::map<std::string, Value>* values) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() == 0) continue;  // A flag.
    const Value value = ValueOf(*option);
    for (const std::string& name : option->get_lnames()) CollectValue("--" + name, value, values);
    for (const std::string& name : option->get_snames()) CollectValue("-" + name, value, values);
  }
}

Tables TablesOf(const CLI::App& app) {
  Tables tables{.common = OptionsOf(app)};
  CollectValues(app, &tables.values);
  for (const CLI::App* verb : app.get_subcommands({})) {
    Verb& entry = tables.verbs[verb->get_name()];
    entry.help = absl::StrReplaceAll(verb->get_description(), {{"'", ""}});
    entry.options = OptionsOf(*verb);
    CollectValues(*verb, &tables.values);
    for (const CLI::Option* option : verb->get_options()) {
      if (option->get_positional()) entry.argument = ValueOf(*option);
    }
  }
  tables.verbs["help"].argument.choices = VerbNames(app);
  return tables;
}

template <typename Map>
std::string Keys(const Map& map, absl::string_view separator) {
  return absl::StrJoin(map, separator, [](std::string* out, const auto& e) { *out += e.first; });
}

std::string Bash(const Tables& tables) {
  std::string values;
  for (const auto& [name, value] : tables.values) {
    absl::StrAppend(&values, "      ", name, ") words=\"", absl::StrJoin(value.choices, " "),
                    value.file ? "\"; files=1 ;;\n" : "\" ;;\n");
  }
  std::string cases;
  for (const auto& [name, verb] : tables.verbs) {
    absl::StrAppend(&cases, "      ", name, ") words=\"", absl::StrJoin(verb.argument.choices, " "),
                    "\"; options+=\" ", absl::StrJoin(verb.options, " "),
                    verb.argument.file ? "\"; files=1 ;;\n" : "\" ;;\n");
  }
  return absl::StrReplaceAll(R"(# Load with: source <(panal completion bash)
_panal() {
  local word=${COMP_WORDS[COMP_CWORD]} verb= option= words= options="@common" files= i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    option=
    case ${COMP_WORDS[i]} in
      @options)
        option=${COMP_WORDS[i]}
        # Bash cuts words at = and at :, so that an address is three.
        [[ ${COMP_WORDS[i + 1]} == "=" ]] && ((++i))
        ((++i))
        while [[ ${COMP_WORDS[i + 1]} == [:=]* ]]; do ((i += 2)); done
        ;;
      -*) ;;
      *) [[ $verb ]] || verb=${COMP_WORDS[i]} ;;
    esac
    ((i >= COMP_CWORD)) || option=
  done
  [[ $option && $word == "=" ]] && word=
  if [[ $option ]]; then
    case $option in
@values    esac
  else
    case $verb in
      "") words="@verbs" ;;
@cases    esac
    [[ $word == -* ]] && words=$options
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [[ $files ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$word")
  fi
}
complete -F _panal panal
)",
                             {{"@common", absl::StrJoin(tables.common, " ")},
                              {"@options", Keys(tables.values, "|")},
                              {"@values", values},
                              {"@verbs", Keys(tables.verbs, " ")},
                              {"@cases", cases}});
}

std::string Zsh(const Tables& tables) {
  std::string values;
  for (const auto& [name, value] : tables.values) {
    if (value.file) absl::StrAppend(&values, "      (", name, ") _files && found=0 ;;\n");
    if (value.choices.empty()) continue;
    absl::StrAppend(&values, "      (", name, ") compadd -- ", absl::StrJoin(value.choices, " "),
                    " && found=0 ;;\n");
  }
  std::string list;
  std::string cases;
  for (const auto& [name, verb] : tables.verbs) {
    absl::StrAppend(&list, "    '", name, ":", verb.help, "'\n");
    absl::StrAppend(&cases, "    (", name, ")\n      options+=(", absl::StrJoin(verb.options, " "),
                    ")\n");
    if (verb.argument.file) absl::StrAppend(&cases, "      _files && found=0\n");
    if (!verb.argument.choices.empty()) {
      absl::StrAppend(&cases, "      compadd -- ", absl::StrJoin(verb.argument.choices, " "),
                      " && found=0\n");
    }
    absl::StrAppend(&cases, "      ;;\n");
  }
  return absl::StrReplaceAll(R"(#compdef panal
# Load with: source <(panal completion zsh)
_panal() {
  local verb= option= i found=1
  local -a verbs options
  options=(@common)
  verbs=(
@list  )
  for ((i = 2; i < CURRENT; ++i)); do
    option=
    case ${words[i]} in
      (@options) option=${words[i]}; ((++i)) ;;
      (-*) ;;
      (*) [[ -n $verb ]] || verb=${words[i]} ;;
    esac
    ((i >= CURRENT)) || option=
  done
  if [[ -n $option ]]; then
    case $option in
@values    esac
    return found
  fi
  case $verb in
    ('') _describe verb verbs && found=0 ;;
@cases  esac
  [[ ${words[CURRENT]} == -* ]] && compadd -- $options && found=0
  return found
}
(( $+functions[compdef] )) && compdef _panal panal
)",
                             {{"@common", absl::StrJoin(tables.common, " ")},
                              {"@options", Keys(tables.values, "|")},
                              {"@list", list},
                              {"@values", values},
                              {"@cases", cases}});
}

std::string Fish(const Tables& tables) {
  std::string out = absl::StrReplaceAll(R"(# Load with: panal completion fish | source
function __panal_verb
  set -l words (commandline -opc)
  set -l i 2
  while test $i -le (count $words)
    switch $words[$i]
      case @options
        set i (math $i + 1)
      case '-*'
      case '*'
        echo $words[$i]
        return
    end
    set i (math $i + 1)
  end
end
function __panal_is
  set -l verb (__panal_verb)
  test "$verb" = "$argv[1]"
end
complete -c panal -f
)",
                                        {{"@options", Keys(tables.values, " ")}});
  auto option = [&](const std::string& condition, const std::string& name) {
    bool longer = absl::StartsWith(name, "--");
    absl::StrAppend(&out, "complete -c panal", condition, longer ? " -l " : " -s ",
                    name.substr(longer ? 2 : 1));
    if (auto found = tables.values.find(name); found != tables.values.end()) {
      const Value& value = found->second;
      absl::StrAppend(&out, value.file ? " -r -F" : " -x");
      if (!value.choices.empty()) {
        absl::StrAppend(&out, " -a '", absl::StrJoin(value.choices, " "), "'");
      }
    }
    out += "\n";
  };
  for (const auto& [name, verb] : tables.verbs) {
    std::string condition = absl::StrCat(" -n '__panal_is ", name, "'");
    absl::StrAppend(&out, "complete -c panal -n '__panal_is \"\"' -a ", name, " -d '", verb.help,
                    "'\n");
    for (const std::string& one : verb.options) option(condition, one);
    if (verb.argument.file) absl::StrAppend(&out, "complete -c panal", condition, " -F\n");
    if (!verb.argument.choices.empty()) {
      absl::StrAppend(&out, "complete -c panal", condition, " -a '",
                      absl::StrJoin(verb.argument.choices, " "), "'\n");
    }
  }
  for (const std::string& one : tables.common) option("", one);
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
    const Tables tables = TablesOf(app);
    WriteOut(*shell == "bash" ? Bash(tables) : *shell == "zsh" ? Zsh(tables) : Fish(tables));
    exit_code = kExitOk;
  });
}

}  // namespace panal::cli
