#!/usr/bin/env python3
"""Writes src/cli/width_ranges.h: which characters take no column of a terminal, and which take two.

Zero: marks that combine with the character before them (Mn, Me), invisible formatting (Cf) and the
vowels and finals that complete a Hangul syllable. Two: East Asian Width W and F. Unassigned
characters inside the planes of ideographs are wide as the ones around them will be.
"""

import pathlib
import sys
import unicodedata

TARGET = pathlib.Path(__file__).resolve().parent.parent / "src/cli/width_ranges.h"


def is_zero(code):
    if code == 0xAD:  # the soft hyphen is drawn
        return False
    return unicodedata.category(chr(code)) in ("Mn", "Me", "Cf") or 0x1160 <= code <= 0x11FF


def is_wide(code):
    if 0x20000 <= code <= 0x2FFFD or 0x30000 <= code <= 0x3FFFD:
        return True
    return unicodedata.east_asian_width(chr(code)) in ("W", "F") and not is_zero(code)


def ranges(matches):
    begin = None
    for code in range(0x80, 0x110001):
        inside = code < 0x110000 and matches(code)
        if inside and begin is None:
            begin = code
        if not inside and begin is not None:
            yield begin, code - 1
            begin = None


def write_table(out, name, matches):
    rows = [f"{{0x{first:04X}, 0x{last:04X}}}," for first, last in ranges(matches)]
    out.append(f"static const width_range {name}[] = {{")
    for i in range(0, len(rows), 4):
        out.append("    " + " ".join(rows[i:i + 4]))
    out.append("};")


def main():
    out = [
        "// width_ranges.h - made by tools/make_width_ranges.py from Unicode "
        + unicodedata.unidata_version + ". Included by text.c only.",
        "// clang-format off",
        "#ifndef TARN_CLI_WIDTH_RANGES_H",
        "#define TARN_CLI_WIDTH_RANGES_H",
        "",
        "#include <stdint.h>",
        "",
        "typedef struct width_range {",
        "    uint32_t first;",
        "    uint32_t last; // inclusive",
        "} width_range;",
        "",
    ]
    write_table(out, "zero_ranges", is_zero)
    out.append("")
    write_table(out, "wide_ranges", is_wide)
    out += ["", "#endif"]
    TARGET.write_text("\n".join(out) + "\n")


if len(sys.argv) > 1:
    sys.exit(__doc__)
main()
