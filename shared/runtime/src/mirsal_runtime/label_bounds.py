"""Keeps a label's values from growing without end. Pure."""

from typing import Final

OTHER: Final = "_other"
"""The value of all that came after the bound was reached; no id of ours looks like it."""


class LabelBound:
    """The first `most` values stand for themselves, all later ones for `OTHER`.

    A value that has its own series keeps it for the process's life: a counter never falls.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._known: dict[str, str] = {}

    def __call__(self, value: str) -> str:
        """What to write for `value`."""
        found = self._known.get(value)
        if found is not None:
            return found
        if len(self._known) >= self.most:
            return OTHER
        self._known[value] = value
        return value
