"""`python -m mirsal_deploy.images [service ...]`: builds each service's image from its Dockerfile.

With Docker where it answers, else with buildah, which needs no daemon. `MIRSAL_BASE_IMAGE` names
another base: one with Python 3.11 and its venv, from wherever images may come. All files and labels
have the time of the commit and name it. An image that is too big fails.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from mirsal_deploy.image_rules import SOURCES
from mirsal_deploy.places import ROOT, SERVICES, version_of

BUILD_SECONDS = 3600.0
ASK_SECONDS = 10.0
MEGABYTE: Final = 1_000_000
MOST_MEGABYTES: Final = 250
# What customers' code runs in is large by nature.
GUESTS_MEGABYTES: Final[Mapping[str, int]] = {"code-runner": 90}
_UNITS: Final = {"kB": 1e-3, "MB": 1.0, "GB": 1e3}


class Revision(NamedTuple):
    """What is built: the commit, and its time in seconds since 1970."""

    commit: str
    at: str


def find_builder() -> list[str] | None:
    """The command that builds, up to its options; None where there is none."""
    docker = shutil.which("docker")
    if docker is not None and _answers([docker, "info"]):
        return [docker, "build"]
    buildah = shutil.which("buildah")
    return None if buildah is None else [buildah, "build", "--isolation", "chroot"]


def build_command(builder: Sequence[str], name: str, revision: Revision) -> list[str]:
    """What builds one image, in the repository's root."""
    arguments = [f"REVISION={revision.commit}"]
    is_docker = builder[0].endswith("docker")
    if is_docker:
        arguments.append(f"SOURCE_DATE_EPOCH={revision.at}")
    base = os.environ.get("MIRSAL_BASE_IMAGE")
    if base:
        arguments.append(f"BASE={base}")
    return [
        *builder,
        *(() if is_docker else ("--timestamp", revision.at)),
        *(option for each in arguments for option in ("--build-arg", each)),
        *("-f", f"{SOURCES[name]}/Dockerfile", "-t", tag_of(name), "."),
    ]


def tag_of(name: str) -> str:
    """The image's name and version."""
    return f"mirsal/{name}:{version_of(ROOT, name)}"


def size_fault(name: str, megabytes: float) -> str | None:
    """Whether the image is too big; None where it is not, or may be of any size."""
    most = MOST_MEGABYTES + GUESTS_MEGABYTES.get(name, 0)
    if name not in SERVICES or megabytes < most:
        return None
    return f"{tag_of(name)} has {megabytes:.0f} MB, and may have {most}"


def read_size(builder: Sequence[str], said: str) -> float:
    """Megabytes, of what Docker or buildah says of an image. Raises `ValueError`."""
    if builder[0].endswith("docker"):
        return int(said) / MEGABYTE
    found = re.fullmatch(r"([0-9.]+) ([kMG]B)", json.loads(said)[0]["size"])
    if found is None:
        raise ValueError(said)
    return float(found[1]) * _UNITS[found[2]]


def main(names: Sequence[str]) -> int:
    """Build the images of these names, or of all services; the exit code."""
    strangers = set(names) - set(SOURCES)
    if strangers:
        sys.stderr.write(f"no such image: {', '.join(sorted(strangers))}\n")
        return 2
    builder = find_builder()
    if builder is None:
        sys.stderr.write("neither Docker nor buildah is here (Debian: apt install buildah)\n")
        return 2
    revision = _revision()
    for name in names or SERVICES:
        command = build_command(builder, name, revision)
        sys.stderr.write(f"{' '.join(command)}\n")
        done = subprocess.run(command, cwd=ROOT, timeout=BUILD_SECONDS)  # noqa: S603 - our words
        if done.returncode != 0:
            return done.returncode
        fault = size_fault(name, read_size(builder, _ask(*_size_question(builder, name))))
        if fault is not None:
            sys.stderr.write(f"{fault}\n")
            return 1
    return 0


def _size_question(builder: Sequence[str], name: str) -> list[str]:
    if builder[0].endswith("docker"):
        return [builder[0], "image", "inspect", "--format", "{{.Size}}", tag_of(name)]
    return [builder[0], "images", "--json", tag_of(name)]


def _revision() -> Revision:
    git = shutil.which("git")
    told = "" if git is None else _ask(git, "show", "--no-patch", "--format=%H %ct", "HEAD")
    commit, _, at = told.partition(" ")
    return Revision(commit or "unknown", at or "0")


def _ask(*command: str) -> str:
    told = subprocess.run(  # noqa: S603 - our words
        command, cwd=ROOT, capture_output=True, text=True, timeout=ASK_SECONDS
    )
    return told.stdout.strip()


def _answers(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - our words
            list(command), capture_output=True, timeout=ASK_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
