"""Writes what is kept of a release: messages, schemas, migrations' hashes, REST, sources."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirsal_contracts.nodes import NODE_TYPES

from mirsal_testing.releases.recording import record
from mirsal_testing.releases.source import write_archive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirsal_testing.releases.kept import Release


async def keep(release: Release, root: Path, commit: str, day: str) -> None:
    """Write the release's folder from the checkout at `root`, whose code runs meanwhile."""
    folder = release.folder
    (folder / "schemas").mkdir(parents=True, exist_ok=True)
    for name, schema in current_schemas(root).items():
        _write_json(folder / "schemas" / f"{name}.json", schema)
    _write_json(folder / "migrations.json", hashes_of_migrations(root))
    document = json.loads((root / "docs/openapi.json").read_text("utf-8"))
    (folder / "openapi.json").write_text(json.dumps(document, ensure_ascii=False) + "\n", "utf-8")
    notes = {"version": release.version, "commit": commit, "date": day}
    _write_json(folder / "release.json", {**notes, "packages": versions_of(root)})
    write_archive(root, tracked_files(root), release.source)
    with tempfile.TemporaryDirectory(prefix="mirsal-release-") as state:
        await record(Path(state), folder)


def current_schemas(root: Path) -> dict[str, Any]:
    """What this version's messages and node configurations look like, by name."""
    folder = root / "shared/contracts/schemas"
    messages = {path.stem: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}
    configs = {
        f"config.{name}": kind.config.model_json_schema(by_alias=True)
        for name, kind in NODE_TYPES.items()
    }
    return messages | configs


def hashes_of_migrations(root: Path) -> dict[str, str]:
    """Every migration's files: what was released is never changed."""
    files = sorted(root.glob("services/*/src/*/migrations/versions/[0-9]*"))
    shared = root / "shared/runtime/src/mirsal_runtime"
    names = ("ledger_schema.sql", "ledger_walls.sql", "guards.sql", "guards_roles.sql")
    files += [shared / name for name in names]
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def versions_of(root: Path) -> Mapping[str, str]:
    """Each package's version by its folder, as its pyproject.toml states it."""
    found = {}
    for path in sorted(root.glob("s*/*/pyproject.toml")):
        project = tomllib.loads(path.read_text("utf-8"))["project"]
        found[path.parent.relative_to(root).as_posix()] = str(project["version"])
    return found


def tracked_files(root: Path) -> list[str]:
    """What git would put into a commit of the working tree."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603 - fixed words
    return [path for path in listed.stdout.splitlines() if (root / path).is_file()]


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", "utf-8")
