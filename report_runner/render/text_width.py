"""The width of a text in the house font, DejaVu Sans, without a font at hand.

Exact for ASCII and for letters with accents, a little more than the font needs for the rest.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

# Thousandths of the font size, of U+0020 to U+007E: DejaVu Sans and DejaVu Sans Bold.
_REGULAR = (
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337,
    636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531,
    1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787,
    603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500,
    500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612,
    635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
)  # fmt: skip
_BOLD = (
    348, 456, 521, 838, 696, 1002, 872, 306, 457, 457, 523, 838, 380, 415, 380, 365,
    696, 696, 696, 696, 696, 696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 580,
    1000, 774, 762, 734, 830, 683, 683, 821, 837, 372, 372, 775, 637, 995, 837, 850,
    733, 850, 770, 720, 682, 812, 774, 1103, 771, 724, 725, 457, 365, 457, 838, 500,
    500, 675, 716, 593, 716, 678, 435, 716, 712, 343, 343, 665, 343, 1042, 712, 687,
    716, 716, 493, 595, 478, 712, 652, 924, 645, 652, 582, 712, 365, 712, 838,
)  # fmt: skip
# Beyond ASCII: of one character, of a kind of characters (regular, bold).
_SPECIAL = {
    "\N{MINUS SIGN}": (838, 838),
    "\N{NO-BREAK SPACE}": (318, 348),
    "\N{NARROW NO-BREAK SPACE}": (200, 200),
    "\N{EM DASH}": (1000, 1000),
    "\N{HORIZONTAL ELLIPSIS}": (1000, 1000),
    "\N{PER MILLE SIGN}": (1342, 1440),
}
_KINDS = {
    "Lu": (860, 960),
    "Lt": (1100, 1260),
    "Ll": (700, 780),
    "Lo": (800, 920),
    "Sc": (760, 830),
    "So": (1040, 1200),
}
_HEBREW = frozenset(map(chr, range(0x590, 0x600)))
_OTHER = (670, 760)


@lru_cache(maxsize=4096)
def _width(character: str, bold: bool) -> int:
    widths = _BOLD if bold else _REGULAR
    if character in _SPECIAL:
        return _SPECIAL[character][bold]
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Cc"):
        return 0
    position = ord(unicodedata.normalize("NFD", character)[0]) - 32
    if 0 <= position < len(widths):
        return widths[position]
    if unicodedata.east_asian_width(character) in "WF":
        return 1000
    if character in _HEBREW:
        return (600, 680)[bold]
    return _KINDS.get(unicodedata.category(character), _OTHER)[bold]


def text_width(text: str, *, bold: bool = False) -> float:
    """Multiples of the font size that a line of text takes."""
    return sum(_width(character, bold) for character in text) / 1000
