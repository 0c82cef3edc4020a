"""The folder for what is downloaded or derived once, and locks between processes that fill it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mirsal_testing.servers.server import ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_POLL = 0.1


def repository_folder() -> Path | None:
    """The root of Mirsal's own checkout if this package runs from one."""
    for folder in Path(__file__).resolve().parents:
        if (folder / "uv.lock").is_file() and (folder / "shared" / "testing").is_dir():
            return folder
    return None


def cache_folder() -> Path:
    """`MIRSAL_CACHE_DIR`, else `.cache` in the checkout, else the user's cache folder."""
    named = os.environ.get("MIRSAL_CACHE_DIR")
    if named:
        return Path(named).expanduser().absolute()
    checkout = repository_folder()
    if checkout is not None:
        return checkout / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mirsal"


@asynccontextmanager
async def exclusive(path: Path, *, seconds: float) -> AsyncIterator[None]:
    """Holds a lock file among processes; `ServerError` if others hold it for longer than that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + seconds
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise ServerError(f"another process has held {path} for {seconds:.0f} s")
            await asyncio.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
