"""Which jars Kafka is made of, and which Maven repository they come from."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

MAVEN_CENTRAL = "https://repo.maven.apache.org/maven2"
KAFKA_VERSION = "4.4.0"


@dataclass(frozen=True)
class Jar:
    """One pinned file: Maven coordinates, bytes, and the sha256 of its content in hex."""

    group: str
    artifact: str
    version: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Below a repository's URL."""
        group = self.group.replace(".", "/")
        return f"{group}/{self.artifact}/{self.version}/{self.file_name}"


@dataclass(frozen=True)
class Repository:
    """A Maven repository: URL without a slash at its end, and a login where it wants one."""

    url: str
    login: tuple[str, str] | None = None
    source: str = "the default"


def pinned_jars() -> list[Jar]:
    """The content of `kafka_jars.lock`: Kafka, what it needs, and an slf4j binding, so it logs."""
    text = (files("mirsal_testing.servers") / "kafka_jars.lock").read_text(encoding="ascii")
    jars = []
    for line in text.splitlines():
        coordinates, size, sha256 = line.split()
        group, artifact, version = coordinates.split(":")
        jars.append(Jar(group, artifact, version, int(size), sha256))
    return jars


def choose_repository() -> Repository:
    """`MIRSAL_MAVEN_URL`, else a mirror of Central in `~/.m2/settings.xml`, else Central."""
    named = os.environ.get("MIRSAL_MAVEN_URL")
    if named:
        return Repository(named.rstrip("/"), source="MIRSAL_MAVEN_URL")
    settings = Path.home() / ".m2" / "settings.xml"
    if settings.is_file():
        return _mirror_in(settings) or Repository(MAVEN_CENTRAL)
    return Repository(MAVEN_CENTRAL)


def _mirror_in(settings: Path) -> Repository | None:
    try:
        root = ElementTree.parse(settings).getroot()  # noqa: S314 - the user's own Maven settings
    except ElementTree.ParseError:
        return None
    for mirror in root.iterfind(".//{*}mirrors/{*}mirror"):
        url = mirror.findtext("{*}url", "").strip().rstrip("/")
        if url and _covers_central(mirror.findtext("{*}mirrorOf", "")):
            identity = mirror.findtext("{*}id", "").strip()
            return Repository(url, _login_of(root, identity), source=str(settings))
    return None


def _covers_central(mirror_of: str) -> bool:
    """As Maven reads `mirrorOf`: a list of ids, `*`, `external:*` and `!id`."""
    parts = {part.strip() for part in mirror_of.split(",")}
    return "!central" not in parts and bool(parts & {"*", "external:*", "central"})


def _login_of(root: ElementTree.Element, identity: str) -> tuple[str, str] | None:
    for server in root.iterfind(".//{*}servers/{*}server"):
        if server.findtext("{*}id", "").strip() == identity:
            username = server.findtext("{*}username", "").strip()
            if username:
                return username, server.findtext("{*}password", "").strip()
    return None
