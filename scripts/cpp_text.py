"""Reads C++ well enough for the checks: files, and their text without comments and literals."""

import os
import re

CPP_SUFFIXES = (".h", ".cc", ".inc")
FOLDERS = ("common", "server", "client", "tests", "proto", "scripts", "cmake")

_TOKEN = re.compile(
    r"""//[^\n]*                                  # comment
      | /\*.*?\*/
      | R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"   # raw string
      | "(?:\\.|[^"\\\n])*"                       # string
      | \b[0-9][\w.']*                            # number, for its ' separators
      | '(?:\\.|[^'\\\n])+'                       # character
    """,
    re.VERBOSE | re.DOTALL,
)


def _blank(match):
    token = match.group()
    if token[0].isdigit():
        return token
    return re.sub(r"[^\n]", " ", token)


def code_of(text):
    """`text` with comments and literals turned to spaces; lines and columns stay."""
    return _TOKEN.sub(_blank, text)


def files_below(root):
    """Paths, relative to `root`, of all files in the project's own folders, sorted."""
    found = []
    for folder in FOLDERS:
        for directory, subfolders, names in os.walk(os.path.join(root, folder)):
            subfolders[:] = [s for s in subfolders if not s.startswith((".", "__"))]
            found += [os.path.relpath(os.path.join(directory, name), root) for name in names]
    return sorted(found)


def read(root, path):
    """Content of the file; bytes that are not UTF-8 are replaced."""
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def lies_in(path, prefix):
    """Whether `path` is `prefix` or lies below it; everything lies in the empty prefix."""
    return not prefix or path == prefix or path.startswith(prefix + "/")
