"""Upper, lower and title case in any script; Arabic has no case. Turkish and Azeri pair i with İ
and ı with I. Elsewhere a lone İ becomes a plain i, not Python's i with a loose dot."""

import re

_DOTTED = frozenset(["tr", "az"])
_WORD = re.compile(r"[^\s\-]+")


def upper_case(text: str, locale: object = None) -> str:
    """`locale` is a language tag such as `tr` or `tr-TR`; anything else means no special rules."""
    if _has_dotted_i(locale):
        text = text.replace("i", "İ")
    return text.upper()


def lower_case(text: str, locale: object = None) -> str:
    """As `upper_case`."""
    if _has_dotted_i(locale):
        text = text.replace("I", "ı")
    return text.replace("İ", "i").lower()


def title_case(text: str, locale: object = None) -> str:
    """The first letter of each word in upper case, the rest in lower case."""

    def raise_first(match: re.Match[str]) -> str:
        word = match.group()
        return upper_case(word[0], locale) + lower_case(word[1:], locale)

    return _WORD.sub(raise_first, text)


def _has_dotted_i(locale: object) -> bool:
    if not isinstance(locale, str):
        return False
    return locale.replace("_", "-").partition("-")[0].lower() in _DOTTED
