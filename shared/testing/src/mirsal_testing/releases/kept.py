"""What the repository keeps of each release: `releases/<version>/`, so that no git history counts.

Reads files only; `cut` writes them, `checkout` makes the last release's programs of them.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from mirsal_testing.servers.cache import repository_folder

if TYPE_CHECKING:
    from pathlib import Path

_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True)
class GoldenMessage:
    """A record as it lay in Kafka; `value` and headers byte for byte."""

    topic: str
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes

    @property
    def type(self) -> str:
        """What `ce_type` says."""
        return dict(self.headers).get("ce_type", b"").decode()

    def to_line(self) -> str:
        """As one line of `messages.jsonl`."""
        members = {
            "topic": self.topic,
            "key": None if self.key is None else _text_of(self.key),
            "headers": [[name, _text_of(value)] for name, value in self.headers],
            "value": _text_of(self.value),
        }
        return json.dumps(members, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> Self:
        """What `to_line` wrote."""
        members = json.loads(line)
        return cls(
            members["topic"],
            None if members["key"] is None else _bytes_of(members["key"]),
            tuple((name, _bytes_of(value)) for name, value in members["headers"]),
            _bytes_of(members["value"]),
        )


@dataclass(frozen=True)
class Release:
    """One release, by its folder."""

    folder: Path

    @property
    def version(self) -> str:
        return self.folder.name

    @property
    def notes(self) -> dict[str, Any]:
        """`release.json`: the commit, the day and each package's version."""
        return dict(json.loads((self.folder / "release.json").read_text("utf-8")))

    @property
    def source(self) -> Path:
        """The archive of what ran; there for the last release only."""
        return self.folder / "source.tar.xz"

    def messages(self) -> list[GoldenMessage]:
        """One message of each shape that the release wrote, on every topic."""
        lines = (self.folder / "messages.jsonl").read_text("utf-8").splitlines()
        return [GoldenMessage.from_line(line) for line in lines]

    def states(self) -> list[dict[str, Any]]:
        """Runs as its orchestrator stored them, one of each shape."""
        lines = (self.folder / "runs.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def migrations(self) -> dict[str, str]:
        """SHA-256 of each migration's files, by path."""
        return dict(json.loads((self.folder / "migrations.json").read_text("utf-8")))

    def rest(self) -> dict[str, Any]:
        """The OpenAPI document that its clients were written against."""
        return dict(json.loads((self.folder / "openapi.json").read_text("utf-8")))

    def schemas(self) -> dict[str, Any]:
        """The JSON Schemas of its messages and node configurations, by name."""
        paths = sorted((self.folder / "schemas").glob("*.json"))
        return {path.stem: json.loads(path.read_text("utf-8")) for path in paths}


def releases_folder() -> Path:
    """`releases` of this checkout. Raises `FileNotFoundError` outside of one."""
    root = repository_folder()
    if root is None:
        raise FileNotFoundError("releases are kept in the checkout, and this is not in one")
    return root / "releases"


def all_releases() -> list[Release]:
    """Every release, oldest first."""
    folders = [path for path in releases_folder().iterdir() if _VERSION.fullmatch(path.name)]
    return [Release(path) for path in sorted(folders, key=lambda path: number_of(path.name))]


def last_release() -> Release:
    """The one that runs in production while this version is built."""
    return all_releases()[-1]


def number_of(version: str) -> tuple[int, ...]:
    """`0.10.2` → (0, 10, 2), which sorts as versions do."""
    return tuple(int(part) for part in version.split("."))


def _text_of(value: bytes) -> Any:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode("ascii")}


def _bytes_of(text: Any) -> bytes:
    return base64.b64decode(text["base64"]) if isinstance(text, dict) else str(text).encode("utf-8")
