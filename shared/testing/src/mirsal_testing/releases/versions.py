"""Where a service's version stands: package, image, manifests; and writing a new one there."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from mirsal_testing.releases.changes import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHARED = ("contracts", "expressions", "runtime", "testing")
_VERSION = re.compile(r'^version = "[^"]+"$', re.MULTILINE)


def services_of(root: Path) -> list[str]:
    """The services that are released, by the names of their folders."""
    return sorted(path.parent.name for path in root.glob("services/*/pyproject.toml"))


def read_versions(root: Path) -> dict[str, str]:
    """Each service's version, and the platform's: the root project's."""
    files = {name: root / "services" / name / "pyproject.toml" for name in services_of(root)}
    files[PLATFORM] = root / "pyproject.toml"
    return {
        name: str(tomllib.loads(path.read_text("utf-8"))["project"]["version"])
        for name, path in files.items()
    }


def write_versions(root: Path, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Write what has changed wherever it stands; what is shared has the platform's version."""
    for name in services_of(root):
        folder = root / "services" / name
        _replace(folder / "pyproject.toml", _VERSION, f'version = "{new[name]}"')
        _replace_text(folder / "Dockerfile", f'version="{old[name]}"', f'version="{new[name]}"')
        image = f"mirsal/{name}:"
        for path in (folder / "Dockerfile", root / "docker-compose.yml"):
            _replace_text(path, f"{image}{old[name]}", f"{image}{new[name]}")
        manifest = root / "deploy/k8s" / name / "kustomization.yaml"
        _replace_text(manifest, f"newTag: {old[name]}", f"newTag: {new[name]}")
        jobs = [f"{name}-migrate-{each[name].replace('.', '-')}" for each in (old, new)]
        _replace_text(root / "deploy/k8s" / name / "migration.yaml", *jobs)
    version = new[PLATFORM]
    for path in (root / "pyproject.toml", *(root / "shared" / each for each in SHARED)):
        file = path if path.is_file() else path / "pyproject.toml"
        _replace(file, _VERSION, f'version = "{version}"')
    simulators = f"mirsal/simulators:{old[PLATFORM]}"
    dockerfile = root / "shared/testing/Dockerfile"
    _replace_text(dockerfile, f'version="{old[PLATFORM]}"', f'version="{version}"')
    for path in (dockerfile, root / "docker-compose.yml"):
        _replace_text(path, simulators, f"mirsal/simulators:{version}")


def _replace(path: Path, pattern: re.Pattern[str], text: str) -> None:
    path.write_text(pattern.sub(text, path.read_text("utf-8"), count=1), "utf-8")


def _replace_text(path: Path, old: str, new: str) -> None:
    found = path.read_text("utf-8")
    if old not in found:
        raise ValueError(f"{path.name} does not say {old}")
    path.write_text(found.replace(old, new), "utf-8")
