"""Ending what a killed supervisor has left behind, known by its pid files."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from mirsal_testing.servers.processes import end_process, find_process
from mirsal_testing.stack.folder import SUPERVISOR

if TYPE_CHECKING:
    from mirsal_testing.stack.folder import StateFolder

_SERVERS = ("kafka", "postgres", "valkey")
_GRACE = 25.0


async def end_orphans(folder: StateFolder) -> list[str]:
    """Ends the processes of all pid files, servers last; the names of those that still lived."""
    ended: list[str] = []

    async def end(name: str) -> None:
        process = find_process(folder.pid_file_of(name))
        if process is not None:
            ended.append(name)
            # PostgreSQL waits for its sessions to end unless asked by SIGINT.
            first = signal.SIGINT if name == "postgres" else signal.SIGTERM
            await end_process(process, grace=_GRACE, first=first)
        folder.pid_file_of(name).unlink(missing_ok=True)

    names = [path.stem for path in folder.run.glob("*.pid") if path.stem != SUPERVISOR]
    await asyncio.gather(*(end(name) for name in names if name not in _SERVERS))
    await asyncio.gather(*(end(name) for name in names if name in _SERVERS))
    return ended
