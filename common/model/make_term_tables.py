#!/usr/bin/env python3
"""Writes term_tables.inc, the character tables of terms.cc, from Python's Unicode data.

Usage: python3 common/model/make_term_tables.py > common/model/term_tables.inc
"""
import sys
import unicodedata

# Scripts whose letters are folded: Latin-1, Latin Extended-A and B, Greek, Cyrillic with its
# supplement, Latin Extended Additional, Greek Extended.
FOLDED = [(0x80, 0x24F), (0x370, 0x52F), (0x1E00, 0x1FFF)]
MARKS = (0x300, 0x36F)  # Combining diacritical marks: left out of terms.


def is_word(code):
    return unicodedata.category(chr(code))[0] in "LNM"


def fold(code):
    while True:
        letters = []
        for text in (chr(code).casefold(), chr(code).lower()):
            decomposed = unicodedata.normalize("NFD", text)
            letters = [c for c in decomposed if not unicodedata.combining(c)]
            if len(letters) == 1:
                break
        if len(letters) != 1 or ord(letters[0]) == code:
            return code
        code = ord(letters[0])


def word_ranges():
    ranges = []
    for code in range(0x80, 0x110000):
        if not is_word(code):
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ranges


def emit(name, rows):
    print(f"// clang-format off\nconstexpr {name} = {{")
    line = "   "
    for row in rows:
        item = " {" + ", ".join(f"{value:#x}" for value in row) + "},"
        if len(line) + len(item) > 100:
            print(line)
            line = "   "
        line += item
    print(f"{line}\n}};\n// clang-format on")


def main():
    print(f"// Made by make_term_tables.py from Unicode {unicodedata.unidata_version}. Not edited.")
    print("// Letters, digits and marks above ASCII, as closed ranges in ascending order.")
    emit("CodeRange kWordRanges[]", word_ranges())
    folds = [(code, fold(code)) for low, high in FOLDED for code in range(low, high + 1)
             if is_word(code) and not MARKS[0] <= code <= MARKS[1] and fold(code) != code]
    print("// Characters that are written as another one in a term, in ascending order.")
    emit("Fold kFolds[]", folds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
