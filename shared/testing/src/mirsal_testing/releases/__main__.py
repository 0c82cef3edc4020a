"""`python -m mirsal_testing.releases`: cuts a release of the checkout; `make release` does it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mirsal_testing.releases.changes import (
    PLATFORM,
    MalformedFragment,
    next_versions,
    read_fragments,
)
from mirsal_testing.releases.keeping import keep
from mirsal_testing.releases.kept import Release, last_release, releases_folder
from mirsal_testing.releases.versions import read_versions, services_of, write_versions

if TYPE_CHECKING:
    from pathlib import Path


def main() -> int:
    """Versions, changelog and `releases/<version>/`; committing is a person's. The exit code."""
    root = releases_folder().parent
    if _git(root, "status", "--porcelain"):
        sys.stderr.write("Commit or put away what you have changed: a release is of a commit.\n")
        return 1
    try:
        fragments = read_fragments(root, services_of(root))
    except MalformedFragment as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not fragments:
        sys.stderr.write("There is nothing in changes/ to release.\n")
        return 1
    old = read_versions(root)
    new = next_versions(fragments, old)
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    before, commit = last_release(), _git(root, "rev-parse", "HEAD")
    write_versions(root, old, new)
    _make_changelog(root, new[PLATFORM], day)
    subprocess.run([root / "scripts/bootstrap", "--lock"], cwd=root, check=True)  # noqa: S603 - ours
    asyncio.run(keep(Release(releases_folder() / new[PLATFORM]), root, commit, day))
    before.source.unlink(missing_ok=True)
    _say(old, new)
    return 0


def _make_changelog(root: Path, version: str, day: str) -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--keep"]
    subprocess.run([*command, "--version", version, "--date", day], cwd=root, check=True)  # noqa: S603 - fixed words
    for path in (root / "changes").rglob("+*.md"):
        path.unlink()


def _git(root: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603 - fixed words
    return done.stdout.strip()


def _say(old: dict[str, str], new: dict[str, str]) -> None:
    version = new.pop(PLATFORM)
    changed = [f"{name} {each}" for name, each in new.items() if each != old[name]]
    sys.stdout.write(
        f"{version}: {', '.join(changed)}. Look at CHANGELOG.md and `git diff`, then:\n"
        f"  make test && git add -A && git commit -m 'Release {version}' && "
        f"git tag -a v{version} -m {version}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
