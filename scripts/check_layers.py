#!/usr/bin/env python3
"""Checks the architecture: who may include whom, which spellings are banned where, no include
cycles, `#pragma once` in every header, no class that two headers define, no file above 800 lines.

Usage: scripts/check_layers.py [--self-test] [ROOT]
Prints one line a finding and exits with 1 when there is one.
"""

import collections
import os
import re
import sys
import tempfile

import cpp_text

LINES_MAX = 800

GENERATED = {"panal/v1", "grpc/health", "grpc/reflection"}
ALLOWED = {  # folder or file -> what of the project it may include; the longest prefix decides
    "common/base": {"common/base"},
    "common/identity": {"common/base", "common/model", "common/identity"},
    "common/model": {"common/base", "common/model"},
    "common/wire": {"common/base", "common/model", "common/wire", "panal/v1"},
    "common/rpc": {"common/base", "common/model", "common/identity", "common/rpc", "common/wire",
                   "panal/v1"},
    "server/processing": {"common/base", "common/model", "server/processing"},
    "server/data": {"common/base", "common/model", "server/data"},
    "server/application": {"common", "server/application", "server/processing", "server/data"}
    | GENERATED,
    "server/console": {"common/base", "server/console", "server/application"},
    "server/runtime": {"common", "server"} | GENERATED,
    "server/runtime/dispatcher": {"common/base", "server/application/dispatcher.h"},
    "server/main.cc": {"common", "server/options_parser.h", "server/runtime"},
    "server/options_parser.h": {"common", "server/runtime"},
    "server/options_parser.cc": {"common", "server/options_parser.h", "server/settings_file.h",
                                 "server/runtime"},
    "server/settings_file.h": {"common/base"},
    "server/settings_file.cc": {"common/base", "server/settings_file.h"},
    "client/proxy": {"common", "client/proxy", "panal/v1"},
    "client/cli": {"common", "client", "panal/v1"},
    "client/examples": {"common", "client/proxy", "client/examples", "panal/v1"},
    "tests/sim": {"common/base", "common/model", "server/processing", "tests"},
    "tests": {"common", "server", "client", "tests"} | GENERATED,
}

# `where` is include (the name with its < or "), code (no comments, no literals) or text (all).
Ban = collections.namedtuple("Ban", "pattern instead where unless", defaults=["code", ()])

REPRODUCIBLE = [
    Ban(r"\b(flat_hash_|node_hash_|unordered_)(map|set)", "use absl::btree_map or _set: the order "
        "of iteration must not depend on the run"),
    Ban(r"\bNow\(\)|_clock::now\(\)|\bClock::now\(\)", "take `now` as a parameter"),
    Ban(r"\bRandomSeedFromSystem\b|\brandom_device\b", "take a Random or a seed as a parameter"),
    Ban(r"\bstd::\w+_distribution\b|\bstd::hash\b", "use common/base/random.h: the result of the "
        "standard library's differs between machines"),
]
NO_GRPC = Ban(r'[<"](grpc|grpcpp|google/protobuf)/', "gRPC and protobuf stay in common/{wire,rpc}, "
              "server/{application,runtime} and client; use value types of common/model", "include")
BANNED = {  # prefix -> bans
    "server/processing": REPRODUCIBLE + [
        Ban(r"<(thread|mutex|condition_variable|atomic|future|fstream|filesystem|iostream|random"
            r"|chrono|ctime|time\.h|unistd\.h|fcntl\.h|sys/|netinet/|sqlite3|openssl|spdlog)",
            "processing is sans-IO: emit an Output, the runtime performs it", "include"),
        Ban(r'"(absl/(time/clock\.h|synchronization/|random/)|common/base/(sync|log)\.h)',
            "processing is sans-IO: no clock, no locks, no log; emit an Output", "include"),
        NO_GRPC,
    ],
    "tests/sim": REPRODUCIBLE,
    "server/data": [NO_GRPC],
    "common/base": [NO_GRPC],
    "common/identity": [NO_GRPC],
    "common/model": [
        NO_GRPC,
        Ban(r"<(openssl|sqlite3|thread|mutex|fstream|filesystem|unistd|sys/)",
            "common/model holds values only", "include"),
    ],
    "common/wire": [Ban(r'[<"]grpc(pp)?/', "status and calls are common/rpc's", "include")],
    "": [
        Ban(r"<spdlog/", "use common/base/log.h", "include", ("common/base/log.cc",)),
        Ban(r"<openssl/", "use common/base/sha256.h or common/identity", "include",
            ("common/base/sha256.cc", "common/identity", "tests")),
        Ban(r"<sqlite3", "use server/data/catalog", "include", ("server/data", "tests")),
        Ban(r"<(format|expected|source_location)>", "clang 14 with libstdc++ 12 lacks it",
            "include"),
        Ban(r"\bstd::string_view\b", "use absl::string_view: Debian's Abseil does not convert"),
        Ban(r"\bstd::(format|views|ranges::views)\b", "use absl::StrFormat and loops: clang 14 "
            "lacks it"),
        Ban(r"\b(throw|catch)\b", "return absl::Status",
            unless=("client/cli", "server/main.cc", "server/options_parser")),
        Ban(r"\bstd::(recursive_|shared_|timed_)?mutex\b|\bstd::(lock_guard|unique_lock|scoped_lock"
            r"|condition_variable)\b|\babsl::(Mutex|MutexLock|CondVar)\b",
            "use common/base/sync.h, which the thread sanitizer sees",
            unless=("common/base/sync.h",)),
        Ban(r"\bsleep_(for|until)\b|\bSleepFor\b|\bu?sleep\(", "wait on a condition with a deadline",
            unless=("tests/support", "tests/bench")),
        Ban(r"\bassert\(", "use PANAL_CHECK for our own invariants, absl::Status for input"),
        Ban(r"\busing namespace\b", "name what is used"),
        Ban(r"\b(class|struct)\s+\w*(Manager|Helper|Utils?)\b", "name what it is"),
        Ban(r"\brand\(\)|\bsrand\(", "use common/base/random.h"),
        Ban(r"TODO\(now\)|\bFIXME\b|\bXXX\b", "finish it before merging", "text"),
    ],
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"][^>"\n]+)[>"]', re.MULTILINE)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
NAMESPACE = re.compile(r"^\s*(?:inline\s+)?namespace\s*([\w:]*)\s*$")
# A definition, its attributes skipped. Of a specialization, `struct Hash<Id>`, the name is not one.
CLASS = re.compile(r"^\s*(?:template\s*<.*>\s*)?(?:enum\s+)?(?:class|struct|enum|union)\s+"
                   r"(?:[A-Z][A-Z_]+(?:\([^)]*\))?\s+)*(\w+)\s*(?:final\s*)?(?::[^:].*)?$", re.DOTALL)
PROJECT_ROOTS = ("common/", "server/", "client/", "tests/", "panal/", "grpc/")


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def policy_of(path):
    """The entry of ALLOWED that decides for `path`, or None."""
    fitting = [prefix for prefix in ALLOWED if cpp_text.lies_in(path, prefix)]
    return max(fitting, key=len) if fitting else None


def check_include(path, name):
    """What is wrong with `path` including `name`, or None."""
    if name.startswith("<"):
        return None
    target = name[1:]
    if "/" not in target:
        return f'include "{target}" by its full path from the top'
    if not target.startswith(PROJECT_ROOTS):
        return None
    policy = policy_of(path)
    if policy is None:
        return f'{path} has no row in ALLOWED of scripts/check_layers.py'
    if any(cpp_text.lies_in(target, prefix) for prefix in ALLOWED[policy]):
        return None
    return f"{policy} may not include {target}; it may include {', '.join(sorted(ALLOWED[policy]))}"


def check_bans(path, views):
    """Findings of banned spellings; `views` maps `where` to a list of (line, text)."""
    findings = []
    for prefix, bans in BANNED.items():
        if not cpp_text.lies_in(path, prefix):
            continue
        for ban in bans:
            if any(path.startswith(exempt) for exempt in ban.unless):
                continue
            for first_line, text in views[ban.where]:
                for match in re.finditer(ban.pattern, text):
                    line = first_line + line_of(text, match.start()) - 1
                    findings.append((line, f"`{match.group().strip()}` is banned: {ban.instead}"))
    return findings


def check_cpp(path, text):
    """Findings (line, message) in one C++ file, and the project files it includes."""
    includes = [(line_of(text, m.start(1)), m.group(1)) for m in INCLUDE.finditer(text)]
    findings = []
    for line, name in includes:
        problem = check_include(path, name)
        if problem:
            findings.append((line, problem))
    views = {"include": includes, "code": [(1, cpp_text.code_of(text))], "text": [(1, text)]}
    findings += check_bans(path, views)
    if path.endswith(".h") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        findings.append((1, "a header begins with `#pragma once`"))
    return findings, [name[1:] for _, name in includes if name.startswith('"')]


def classes_of(text):
    """(full name, line) of every class that a header defines in a named namespace."""
    code = DIRECTIVE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), cpp_text.code_of(text))
    found, stack, start = [], [], 0  # `stack`: names of namespaces, None for any other brace.
    for match in re.finditer(r"[{};]", code):
        header, position = code[start:match.start()], match.start()
        start = match.end()
        if match.group() == "{":
            namespace, defined = NAMESPACE.match(header), CLASS.match(header)
            if defined and stack and None not in stack and "" not in stack:
                line = line_of(code, position - len(header) + defined.start(1))
                found.append(("::".join(stack + [defined.group(1)]), line))
            stack.append(namespace.group(1) if namespace else None)
        elif match.group() == "}" and stack:
            stack.pop()
    return found


def check_classes(headers):
    """Findings of classes that two of the `headers`, (path, text), define. A program that links both
    is broken without a word (the one-definition rule); tests are programs of their own."""
    findings, first = [], {}
    for path, text in headers:
        for name, line in classes_of(text):
            other = first.setdefault(name, (path, line))
            if other[0] != path and not path.startswith("tests/"):
                findings.append(f"{path}:{line}: {name} is defined in {other[0]}:{other[1]} too; "
                                "give one of them another name")
    return findings


def find_cycle(graph):
    """A list of files that include each other in a circle, or None."""
    done, trail = set(), []

    def visit(node):
        if node in trail:
            return trail[trail.index(node):] + [node]
        if node in done:
            return None
        trail.append(node)
        for target in graph.get(node, ()):
            cycle = visit(target)
            if cycle:
                return cycle
        done.add(trail.pop())
        return None

    for node in sorted(graph):
        cycle = visit(node)
        if cycle:
            return cycle
    return None


def counts_lines(path):
    """Whether the limit on lines holds for `path`: code, not data."""
    suffixes = cpp_text.CPP_SUFFIXES + (".proto", ".py", ".sh", ".cmake")
    name = os.path.basename(path)
    return name.endswith(suffixes) or name == "CMakeLists.txt" or (
        path.startswith("scripts/") and "." not in name)


def check(root):
    """All findings in the tree at `root`, as printable lines."""
    findings, graph, headers = [], {}, []
    for path in cpp_text.files_below(root):
        if not counts_lines(path):
            continue
        text = cpp_text.read(root, path)
        lines = text.count("\n")
        if lines > LINES_MAX:
            findings.append(f"{path}:{lines}: {lines} lines exceed the limit of {LINES_MAX}; "
                            "split by message or by traversal")
        if path.endswith(cpp_text.CPP_SUFFIXES):
            found, graph[path] = check_cpp(path, text)
            findings += [f"{path}:{line}: {message}" for line, message in found]
            if path.endswith(".h"):
                headers.append((path, text))
    findings += check_classes(headers)
    cycle = find_cycle(graph)
    if cycle:
        findings.append(f"{cycle[0]}:1: includes itself: {' -> '.join(cycle)}")
    return findings


# Path, content, and a part of the one finding expected; None for none.
SELF_TEST = [
    ("common/base/ok.h", '// "std::string_view"\n#pragma once\n#include "common/base/ids.h"\n', None),
    ("common/base/ok.cc", "int n = 1'000;  // throw\nconst char* s = \"catch\";\nchar c = '\"';\n", None),
    ("server/runtime/ok.cc", '#include "server/data/catalog/c.h"\n#include "panal/v1/f.pb.h"\n', None),
    ("common/identity/ok.cc", "#include <openssl/evp.h>\n", None),
    ("client/cli/ok.cc", "void F() { try { G(); } catch (int) {} }\n", None),
    ("common/base/up.h", '#pragma once\n#include "server/data/x.h"\n', ":2: common/base may not"),
    ("common/rpc/m.h", '#pragma once\n#include "server/data/x.h"\n', "common/rpc may not include"),
    ("server/processing/d.cc", '#include "server/data/x.h"\n', "server/processing may not include"),
    ("server/data/p.cc", '#include "server/processing/x.h"\n', "server/data may not include"),
    ("client/proxy/s.cc", '#include "server/runtime/x.h"\n', "client/proxy may not include"),
    ("tests/sim/r.cc", '#include "server/runtime/x.h"\n', "tests/sim may not include"),
    ("server/new/x.cc", '#include "common/base/x.h"\n', "has no row in ALLOWED"),
    ("common/base/rel.cc", '#include "ids.h"\n', "by its full path"),
    ("server/processing/t.cc", "#include <thread>\n", "emit an Output"),
    ("server/processing/c.cc", '#include "absl/time/clock.h"\n', "no clock"),
    ("server/processing/h.cc", "absl::flat_hash_map<int, int> m;\n", "absl::btree_map"),
    ("server/processing/n.cc", "\nauto t = absl::Now();\n", ":2: `Now()` is banned: take `now`"),
    ("tests/sim/clock.cc", "auto t = std::chrono::steady_clock::now();\n", "take `now`"),
    ("tests/sim/virtual.cc", "absl::Time Simulation::now() const { return now_; }\n", None),
    ("server/data/g.cc", "#include <grpcpp/grpcpp.h>\n", "value types"),
    ("common/wire/g.cc", "#include <grpcpp/grpcpp.h>\n", "common/rpc's"),
    ("server/data/v.cc", "void F(std::string_view s);\n", "absl::string_view"),
    ("server/data/m.cc", "std::mutex m;\n", "common/base/sync.h"),
    ("server/data/e.cc", "void F() { throw 1; }\n", "return absl::Status"),
    ("server/data/l.cc", "#include <spdlog/spdlog.h>\n", "common/base/log.h"),
    ("tests/unit/s.cc", "std::this_thread::sleep_for(t);\n", "wait on a condition"),
    ("server/data/f.cc", "// FIX" + "ME\n", "finish it"),
    ("server/data/k.cc", "class PeerManager {};\n", "name what it is"),
    ("common/base/guard.h", "#ifndef A\n#define A\n#endif\n", "#pragma once"),
    ("common/base/long.cc", "\n" * (LINES_MAX + 1), "801 lines exceed the limit of 800"),
    ("common/base/full.cc", "\n" * LINES_MAX, None),
]


def run_tree(files):
    with tempfile.TemporaryDirectory() as root:
        for path, content in files:
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(content)
        return check(root)


def self_test():
    """Whether every planted fault is found and nothing else."""
    wrong = []
    for path, content, expected in SELF_TEST:
        findings = run_tree([(path, content)])
        fits = not findings if expected is None else len(findings) == 1 and expected in findings[0]
        if not fits:
            wrong.append(f"{path}: expected {expected}, found {findings}")
    cycle = run_tree([("common/base/a.h", '#pragma once\n#include "common/base/b.h"\n'),
                      ("common/base/b.h", '#pragma once\n#include "common/base/a.h"\n')])
    if len(cycle) != 1 or "a.h -> common/base/b.h -> common/base/a.h" not in cycle[0]:
        wrong.append(f"cycle: found {cycle}")
    return wrong + self_test_classes()


# Two headers of the same namespace, and whether a class is defined in both.
SELF_TEST_CLASSES = [
    ("class A {\n};\n", "class A : public B {\n};\n", True),
    ("class A final {\n};\n", "struct A {\n  int x = 0;\n};\n", True),
    ("template <typename T>\nclass A {\n};\n", "class ABSL_LOCKABLE A {\n};\n", True),
    ("enum class A : uint8_t { kB };\n", "#define A {\nenum class A { kB };\n", True),
    ("class A;\nA F();\n", "class A {\n};\n", False),
    ("class A {\n  class B {\n  };\n};\n", "class B {\n};\n", False),
    ("namespace c {\nclass A {\n};\n}\n", "class A {\n};\n", False),
    ("template <>\nstruct A<int> {\n};\n", "template <typename T>\nstruct A {\n};\n", False),
    ("struct A MakeA() {\n  return {};\n}\n", "struct A {\n};\n", False),
    ("// class A {\n", "class A {\n};\n", False),
]


def self_test_classes():
    wrong = []
    for one, other, expected in SELF_TEST_CLASSES:
        files = [(f"common/base/{name}.h", "#pragma once\nnamespace panal {\n" + source + "}\n")
                 for name, source in (("one", one), ("other", other))]
        findings = run_tree(files)
        if len(findings) != expected or (expected and "is defined in common/base/one.h:" not in findings[0]):
            wrong.append(f"{one!r} and {other!r}: found {findings}")
    return wrong


def main(arguments):
    if "--help" in arguments:
        print(__doc__)
        return 0
    if "--self-test" in arguments:
        findings = self_test()
    else:
        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        findings = check(arguments[0] if arguments else here)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
