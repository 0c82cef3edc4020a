"""Folders for a server that must not run as root: it runs as `nobody`, who must get at them.

A checkout below a home with mode 0700 (root's own, often) is out of that user's reach; then
binaries are copied to, and data is kept in, a folder that is within it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mirsal_testing.servers.cache import cache_folder
from mirsal_testing.servers.processes import user_switch
from mirsal_testing.servers.server import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

UNPRIVILEGED = "nobody"


def server_user() -> str | None:
    """The user that a server which refuses root runs as; None: as we do."""
    return UNPRIVILEGED if os.geteuid() == 0 else None


def is_reachable(path: Path) -> bool:
    """Whether any user may enter the folder and all those above it."""
    return all(
        folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents) if folder.exists()
    )


def hand_over(path: Path) -> None:
    """Gives a file or folder, not what is in it, to the unprivileged user."""
    switch = user_switch(UNPRIVILEGED)
    os.chown(path, switch["user"], switch["group"])


def reachable_copy(root: Path, parts: Sequence[str], name: str) -> Path:
    """A folder that has the `parts` of `root` where any user can read them: itself, or a copy.

    Parts keep their places, since binaries find their libraries by relative paths.
    """
    if all(is_reachable((root / part).resolve()) and _is_readable(root / part) for part in parts):
        return root
    copy = _reachable_root() / name
    if not copy.is_dir():
        draft = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=copy.parent))
        for part in parts:
            shutil.copytree(root / part, draft / part, symlinks=True)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | 0o555 if path.is_dir() or mode & stat.S_IXUSR else mode | 0o444)
        try:
            draft.rename(copy)
        except OSError:
            # Another process was first, with the same content.
            shutil.rmtree(draft)
    return copy


def reachable_data(link: Path) -> Path:
    """A folder for data at `link`, or one elsewhere that `link` then points to."""
    if link.is_symlink():
        target = link.readlink()
        target.mkdir(parents=True, exist_ok=True)
        return target
    if link.is_dir() or is_reachable(link.parent.resolve()):
        link.mkdir(exist_ok=True)
        return link
    digest = hashlib.sha256(os.fsencode(link)).hexdigest()[:16]
    target = _reachable_root() / f"data-{digest}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    link.symlink_to(target)
    return target


def _is_readable(folder: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IROTH for path in (folder, *folder.glob("*/*")))


def _reachable_root() -> Path:
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    if is_reachable(cache.resolve()):
        return cache
    root = Path("/var/tmp") / f"mirsal-{os.geteuid()}"  # noqa: S108 - owner and mode are checked
    root.mkdir(mode=0o755, exist_ok=True)
    found = root.lstat()
    others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or others_write:
        raise ServerError(
            f"PostgreSQL runs as {UNPRIVILEGED}, who cannot enter {cache}, and {root} is not a "
            "folder of ours alone. Set MIRSAL_CACHE_DIR to a folder that every user may enter."
        )
    root.chmod(0o755)
    return root
