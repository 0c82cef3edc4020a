"""The archive of what a release runs: sources, guests and lock, enough to run it again.

It is kept as data since a clone need not have the history; made when a release is cut.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from mirsal_testing.servers.cache import cache_folder, repository_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mirsal_testing.releases.kept import Release

# What judges (simulators, stack) is always this version's, so it is not in the archive.
_KEPT = ("/src/", "/guests/")
_NOT_KEPT = "shared/testing/src/"
_PREPARE_SECONDS = 600.0
_DONE = ".done"


class ReleaseError(Exception):
    """The last release cannot be run here; the text says why."""


@dataclass(frozen=True)
class Checkout:
    """A release unpacked, whose programs run with `python` and `environment`."""

    folder: Path
    python: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes Python find the release's packages, before any that are installed."""
        sources = _sources_of(self.folder)
        return {
            "PYTHONPATH": os.pathsep.join(map(str, sources)),
            # Guests of the same sources are built once, whoever asks.
            "MIRSAL_CACHE_DIR": str(cache_folder()),
        }


def is_kept(path: str) -> bool:
    """Whether a file of the repository belongs into the archive."""
    if path in {"pyproject.toml", "uv.lock"}:
        return True
    parts = path.split("/")
    if len(parts) < 3 or parts[0] not in {"services", "shared"}:
        return False
    inside = any(mark in path for mark in _KEPT) and not path.startswith(_NOT_KEPT)
    return inside or parts[2:] == ["pyproject.toml"]


def write_archive(root: Path, paths: Iterable[str], target: Path) -> None:
    """The same bytes from the same files, whoever packs them."""
    with tarfile.open(target, "w:xz", preset=9) as archive:
        for path in sorted(filter(is_kept, paths)):
            entry = tarfile.TarInfo(path)
            data = (root / path).read_bytes()
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, BytesIO(data))


def unpack(release: Release) -> Path:
    """The folder with the release's files, in the cache; quick if it is there."""
    digest = hashlib.sha256(release.source.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / "releases" / f"{release.version}-{digest}"
    with _alone(folder):
        if not (folder / _DONE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            with tarfile.open(release.source) as archive:
                archive.extractall(folder, filter="data")
            (folder / _DONE).touch()
    return folder


def check_out(release: Release) -> Checkout:
    """The release with an interpreter of its own that has what its lock names.

    Packages come through uv, from its cache or the registry. Raises `ReleaseError`.
    """
    folder = unpack(release)
    python = folder / ".venv" / "bin" / "python"
    stamp = folder / ".venv" / _DONE
    with _alone(folder):
        if not stamp.exists():
            _sync(folder)
            _lead_to_sources(folder)
            stamp.touch()
    checkout = Checkout(folder, python)
    _run([str(python), "-m", "code_runner.build"], folder, checkout.environment)
    return checkout


def _sync(folder: Path) -> None:
    # Only what runs, and what builds the guests.
    command = [find_uv(), "sync", "--frozen", "--all-packages", "--all-extras", "--no-dev"]
    command += ["--no-install-workspace", "--no-install-package", "mirsal-testing"]
    environment = {"UV_PYTHON_DOWNLOADS": "never", "VIRTUAL_ENV": ""}
    environment["UV_CACHE_DIR"] = os.environ.get("UV_CACHE_DIR") or str(
        cache_folder() / "uv-packages"
    )
    _run([*command, "--python", str(_base_python())], folder, environment)


def _lead_to_sources(folder: Path) -> None:
    # Customers' code runs where Python does not look at PYTHONPATH.
    (packages,) = folder.glob(".venv/lib/python*/site-packages")
    sources = "\n".join(map(str, _sources_of(folder)))
    (packages / "mirsal-release.pth").write_text(f"{sources}\n", "utf-8")


def _sources_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("s*/*/src"))


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - our own tools, no shell
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_PREPARE_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise ReleaseError(f"{' '.join(command[:3])} failed: {done.stderr[-2000:]}")


def find_uv() -> str:
    """The uv that `scripts/bootstrap` uses. Raises `ReleaseError`."""
    for place in (cache_folder() / "uv/bin/uv", shutil.which("uv")):
        if place and Path(place).is_file():
            return str(place)
    raise ReleaseError("there is no uv: `make setup` has one")


def _base_python() -> Path:
    root = repository_folder()
    if root is None:
        raise ReleaseError("a release is run from a checkout only")
    return (root / ".venv" / "bin" / "python").resolve()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Among processes; the lock lies beside the folder, which may be made anew."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
