"""Answers of Google's that have an end: what both of its clients read theirs through."""

from collections.abc import Iterator
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter

ANSWER_BYTES: Final = 64 * 1024 * 1024
"""More than any answer needs that a worker's memory could hold once it is read."""


class AnswerTooLong(requests.RequestException):
    """The answer went on beyond `ANSWER_BYTES`; whatever was asked for may have happened."""


class BoundedAdapter(HTTPAdapter):
    """Reads no answer, unpacked, beyond `most_bytes`: then it hangs up. Never tries again."""

    def __init__(self, connections: int, *, most_bytes: int = ANSWER_BYTES) -> None:
        super().__init__(pool_connections=4, pool_maxsize=connections)
        self._most_bytes = most_bytes

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        """See `HTTPAdapter.send`."""
        response = super().send(request, *args, **options)
        response.raw = _BoundedBody(response.raw, self._most_bytes)
        return response


class _BoundedBody:
    """urllib3's response, whose body ends or fails."""

    def __init__(self, raw: Any, most_bytes: int) -> None:
        self._raw = raw
        self._most_bytes = most_bytes

    def stream(self, *args: Any, **options: Any) -> Iterator[bytes]:
        """The body in parts, all of which `requests` reads at once."""
        left = self._most_bytes
        for part in self._raw.stream(*args, **options):
            left -= len(part)
            if left < 0:
                self._raw.close()
                raise AnswerTooLong(f"the answer is longer than {self._most_bytes} bytes")
            yield part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
