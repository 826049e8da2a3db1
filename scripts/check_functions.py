#!/usr/bin/env python3
"""Checks that no C++ function, tests included, is longer than 70 lines from header to closing brace.
Knows braces, not C++: good for code that clang-format wrote.

Usage: scripts/check_functions.py [--self-test | --longest] [ROOT]
Prints one line a finding and exits with 1 when there is one. --longest lists the ten longest.
"""

import os
import re
import sys

import cpp_text

LINES_MAX = 70

DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
ACCESS = re.compile(r"\s*(public|private|protected)\s*:(?!:)")
SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")
NAME = re.compile(r"(operator\s*(?:\(\)|[^\s(]+)|[\w~:]+)\s*\(")


def without_templates(header):
    """`header` after its `template <…>`, whose parameters may say class."""
    while header.lstrip().startswith("template"):
        depth, position = 0, header.index("template")
        for position in range(position, len(header)):
            depth += {"<": 1, ">": -1}.get(header[position], 0)
            if header[position] == ">" and depth == 0:
                break
        header = header[position + 1:]
    return header


def kind_of(header):
    """What the brace after `header` opens: scope, function or other (an initializer)."""
    header = without_templates(header)
    before, parenthesis, _ = header.partition("(")
    # `struct stat Info(` is a function that returns a struct.
    declares_function = parenthesis and re.search(r"\w[&*\s]+[\w:~]+\s*$", before)
    if SCOPE.search(before) and not declares_function:
        return "scope"
    if not parenthesis or header.count("(") != header.count(")"):
        return "other"
    return "other" if header.rstrip().endswith(("=", ",")) else "function"


def functions_of(text):
    """(name, first line, number of lines) of every function at namespace or class scope."""
    code = DIRECTIVE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), cpp_text.code_of(text))
    found, stack, start = [], [], 0
    for match in re.finditer(r"[{};]", code):
        token, position = match.group(), match.start()
        if token == "{":
            # A brace in a constructor's initializers, `: a_{1}, b_(2) {`, belongs to its header.
            header = code[start:position]
            access = ACCESS.match(header)
            header_start = start + (access.end() if access else 0)
            header = code[header_start:position]
            header_start += len(header) - len(header.lstrip())
            stack.append((kind_of(header), header.strip(), header_start))
            start = position + 1
        elif token == "}" and stack:
            kind, header, header_start = stack.pop()
            start = position + 1
            follows = code[start:start + 200].lstrip()[:1]
            if kind == "function" and follows in (",", "{"):
                start = header_start  # It was an initializer; the header goes on.
            elif kind == "function" and all(outer[0] == "scope" for outer in stack):
                first = code.count("\n", 0, header_start) + 1
                last = code.count("\n", 0, position) + 1
                name = NAME.search(without_templates(header))
                found.append((name.group(1) if name else header[:40], first, last - first + 1))
        elif token == ";":
            start = position + 1
    return found


def all_functions(root):
    """(path, name, line, length) of every function below `root`."""
    return [(path, *function)
            for path in cpp_text.files_below(root) if path.endswith(cpp_text.CPP_SUFFIXES)
            for function in functions_of(cpp_text.read(root, path))]


def check(root):
    return [f"{path}:{line}: {name} has {length} lines, the limit is {LINES_MAX}; "
            "give a part of it a name"
            for path, name, line, length in all_functions(root) if length > LINES_MAX]


def body(lines):
    return "".join(f"  Call({i}, '{{', \"}}\");  // }}\n" for i in range(lines))


# Source and the (name, first line, lines) that must be found in it.
SELF_TEST = [
    ("int F() {\n" + body(68) + "}\n", [("F", 1, 70)]),
    ("int F() {\n" + body(69) + "}\n", [("F", 1, 71)]),
    ("namespace a {\nnamespace {\nvoid G(int a,\n       int b) {\n}\n}  // namespace\n}\n", [("G", 3, 3)]),
    ("class C {\n public:\n  C() : a_{1}, b_(2) {\n    F();\n  }\n\n private:\n  int a_;\n};\n", [("C", 3, 3)]),
    ("struct S final : B {\n  void H() const override { x(); }\n  int y = 0;\n};\n", [("H", 2, 1)]),
    ("TEST(Suite, Case) {\n  auto f = [&](int x) {\n    y(x);\n  };\n  if (a) {\n  }\n}\n", [("TEST", 1, 7)]),
    ("constexpr Row kRows[] = {\n    {A(1), \"x\"},\n    {B(2)},\n};\nint v{3};\n", []),
    ("template <typename T, class U>\nT Max(T a, U b) {\n  return a;\n}\n", [("Max", 1, 4)]),
    ("#define M(x) \\\n  if (x) { \\\n  }\nenum class E : int { kA = f(1), kB };\nvoid F() {}\n", [("F", 5, 1)]),
    ("struct State;\nstruct stat Info(int a) {\n  return b;\n}\n", [("Info", 2, 3)]),
    ("A::B::~B() {\n}\nauto F() -> std::vector<int> {\n}\n", [("A::B::~B", 1, 2), ("F", 3, 2)]),
    ("const char* s = R\"(void X() {)\";\nvoid F() ABSL_LOCKS(m) {\n  int z = {1};\n}\n", [("F", 2, 3)]),
    ("extern \"C\" {\nvoid F() {\n}\n}\nextern \"C\" int G(int x) {\n}\n", [("F", 2, 2), ("G", 5, 2)]),
    ("class ABSL_LOCKABLE M : public N<f(1)> {\n  bool operator()(int a) const {\n  }\n};\n", [("operator()", 2, 2)]),
]


def self_test():
    wrong = []
    for source, expected in SELF_TEST:
        found = functions_of(source)
        if found != expected:
            wrong.append(f"expected {expected}, found {found} in:\n{source[:300]}")
    return wrong


def main(arguments):
    if "--help" in arguments:
        print(__doc__)
        return 0
    if "--self-test" in arguments:
        findings = self_test()
    else:
        paths = [argument for argument in arguments if not argument.startswith("--")]
        root = paths[0] if paths else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        if "--longest" in arguments:
            for path, name, line, length in sorted(all_functions(root), key=lambda f: -f[3])[:10]:
                print(f"{length:4} {path}:{line} {name}")
            return 0
        findings = check(root)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
