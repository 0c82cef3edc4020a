"""What a regular expression of a condition may cost. The engine is linear, yet it compiles the
pattern at each evaluation and takes time by the pattern's size, which `{n}` multiplies."""

import re
from typing import Final

PATTERN_LENGTH: Final = 200
SIZE_LIMIT: Final = 500

# A class such as \w stands for hundreds of characters and compiles to as many states.
_CLASS_STEPS: Final = 5

_PIECE = re.compile(
    r"(?P<class>\\(?:[pP](?:\{[^}]*\}|.)|[dDsSwW]))|(?P<escape>\\(?:[xuU]\{[^}]*\}|.))|(?P<set>\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\])"
    r"|(?P<open>\((?:\?[^():]*:)?)|(?P<close>\))|\{(?P<count>\d+(?:,\d*)?)\}|(?P<one>.)",
    re.DOTALL,
)
# In verbose mode a comment may hold a bracket, which the scan below would take for a set.
_VERBOSE = re.compile(r"\(\?[A-Za-z-]*x")


def check_pattern(pattern: str) -> str | None:
    """Says why the pattern is too costly, or None."""
    if len(pattern) > PATTERN_LENGTH:
        return f"the pattern is longer than {PATTERN_LENGTH} characters"
    if _VERBOSE.search(pattern):
        return "the pattern uses (?x): leave the spaces out instead"
    if measure_pattern(pattern) > SIZE_LIMIT:
        return f"the pattern is larger than {SIZE_LIMIT} steps with its {{n}} written out"
    return None


def measure_pattern(pattern: str) -> int:
    """The number of single steps in the pattern with its repetitions written out, at least."""
    sizes = [0]
    last = 0
    for piece in _PIECE.finditer(pattern):
        kind = piece.lastgroup
        if kind == "open":
            sizes.append(0)
            last = 0
        elif kind == "close" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        elif kind == "count":
            times = max(int(number) for number in piece["count"].split(",") if number)
            added = last * (max(times, 1) - 1)
            sizes[-1] += added
            last += added
        else:
            last = _CLASS_STEPS if kind == "class" else 1
            sizes[-1] += last
        if sizes[-1] > SIZE_LIMIT:
            break
    return sum(sizes)
