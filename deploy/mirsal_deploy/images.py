"""`python -m mirsal_deploy.images [service ...]`: builds each service's image from its Dockerfile.

With Docker where it answers, else with buildah, which needs no daemon. `MIRSAL_BASE_IMAGE` names
another base: one with Python 3.11 and its venv, from wherever images may come.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from mirsal_deploy.image_rules import SOURCES
from mirsal_deploy.places import ROOT, SERVICES, version_of

BUILD_SECONDS = 3600.0
ASK_SECONDS = 10.0


def find_builder() -> list[str] | None:
    """The command that builds, up to its options; None where there is none."""
    docker = shutil.which("docker")
    if docker is not None and _answers([docker, "info"]):
        return [docker, "build"]
    buildah = shutil.which("buildah")
    return None if buildah is None else [buildah, "build", "--isolation", "chroot"]


def build_command(builder: Sequence[str], name: str, revision: str) -> list[str]:
    """What builds one image, in the repository's root."""
    arguments = [f"REVISION={revision}"]
    base = os.environ.get("MIRSAL_BASE_IMAGE")
    if base:
        arguments.append(f"BASE={base}")
    version = version_of(ROOT, name)
    return [
        *builder,
        *(option for each in arguments for option in ("--build-arg", each)),
        *("-f", f"{SOURCES[name]}/Dockerfile", "-t", f"mirsal/{name}:{version}", "."),
    ]


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
    return 0


def _revision() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    told = subprocess.run(  # noqa: S603 - our words
        [git, "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, timeout=ASK_SECONDS
    )
    return told.stdout.strip() or "unknown"


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
