#!/usr/bin/env python3
"""Writes include/tricycle/io/unicode_classes.hpp: which characters are letters, numbers and white space.

    pip install unicodedata2==16.0.0 && python3 cmake/unicode_classes.py

Unicode 16.0, since that is what Hugging Face's tokenizers 0.23 splits words by.
"""
from pathlib import Path

import unicodedata2

VERSION = "16.0.0"
OUT = Path(__file__).parent.parent / "include/tricycle/io/unicode_classes.hpp"
SPACE = {*range(0x09, 0x0e), 0x20, 0x85, 0xa0, 0x1680, *range(0x2000, 0x200b), 0x2028, 0x2029, 0x202f, 0x205f, 0x3000}   # White_Space in PropList.txt
OTHER, LETTER, NUMBER, WHITE = range(4)

HEAD = f"""\
// Which characters are letters, numbers and white space: Unicode {VERSION.rsplit(".", 1)[0]}. Written by cmake/unicode_classes.py; do not edit.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include "tricycle/core/config.hpp"

namespace tricycle {{
inline namespace TRICYCLE_ABI {{
namespace unicode {{

/// General category L, general category N, property White_Space, or none of them.
enum class Class : std::uint8_t {{ other, letter, number, space }};

/// 4 x the first character of each stretch of one class + that class.
inline constexpr std::uint32_t stretches[] = {{
"""
TAIL = """\
};

inline constexpr Class class_of(char32_t code) {
  auto after = std::upper_bound(std::begin(stretches), std::end(stretches), 4 * static_cast<std::uint32_t>(code) + 3);
  return static_cast<Class>(*(after - 1) & 3);
}

}  // namespace unicode
}
}  // namespace tricycle
"""


def class_of(code):
    kind = unicodedata2.category(chr(code))[0]
    return WHITE if code in SPACE else LETTER if kind == "L" else NUMBER if kind == "N" else OTHER


def main():
    assert unicodedata2.unidata_version == VERSION, f"this is Unicode {unicodedata2.unidata_version}"
    classes = [class_of(code) for code in range(0x110000)]
    starts = [code for code in range(0x110000) if code == 0 or classes[code] != classes[code - 1]]
    lines, line = [], " "
    for number in (f" {4 * code + classes[code]}," for code in starts):
        if len(line + number) > 180:
            lines, line = [*lines, line], " "
        line += number
    OUT.write_text(HEAD + "\n".join([*lines, line]) + "\n" + TAIL)


if __name__ == "__main__":
    main()
