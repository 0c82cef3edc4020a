"""Starting a supervisor, with which environment, and following it until all is ready."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from mirsal_testing.servers.log_tail import read_tail
from mirsal_testing.servers.processes import write_pid_file
from mirsal_testing.servers.remembered import Remembered
from mirsal_testing.stack.dotenv import read_env
from mirsal_testing.stack.folder import SUPERVISOR, StateFolder
from mirsal_testing.stack.plan import OWNER_SETTING
from mirsal_testing.stack.status import StackStatus, read_status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The supervisor gives up after 120 s, and then takes down what it has started.
_UP_SECONDS = 200.0
_BIRTH_SECONDS = 15.0
_POLL = 0.05
_SERVER_URLS = ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "REDIS_URL")


class StackError(Exception):
    """The stack could not be brought up, or has not the part asked for; the text says why."""


def caller_environment(folder: StateFolder, overrides: Mapping[str, str]) -> dict[str, str]:
    """This process's, without what it has only because its shell has read our own `env` file.

    Else a second `make up` from that shell would take our own servers for somebody else's.
    """
    given = (Remembered(folder.kept).get("given") or "").split()
    own = {name: value for name, value in read_env(folder.env).items() if name not in given}
    outer = {name: value for name, value in os.environ.items() if own.get(name) != value}
    return {**outer, **overrides, "MIRSAL_STATE_DIR": str(folder.root)}


def find_unused(running: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Names of settings in `wanted` that a stack with the environment `running` has otherwise."""
    return sorted(
        name
        for name, value in wanted.items()
        if (name.startswith("MIRSAL_") or name in _SERVER_URLS) and running.get(name) != value
    )


def spawn_supervisor(folder: StateFolder, environment: Mapping[str, str], *, stays: bool) -> int:
    """Starts it in a session of its own; unless it `stays` it ends with this process. Its pid."""
    folder.status.unlink(missing_ok=True)
    for hold in folder.run.glob("*.hold"):
        hold.unlink()
    wanted = {name: value for name, value in environment.items() if name != OWNER_SETTING}
    if not stays:
        owner = folder.run / "owner"
        write_pid_file(owner, os.getpid())
        wanted[OWNER_SETTING] = str(owner)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    # Not `subprocess`, which warns of a child that outlives its parent, as this one may.
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "mirsal_testing.stack", "supervise"],
        wanted,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder.log_of(SUPERVISOR)), append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def reap(spawned: int | None) -> None:
    """Takes the exit code of a supervisor that this process has started: no zombie stays."""
    if spawned is not None:
        with suppress(ChildProcessError):
            os.waitpid(spawned, os.WNOHANG)


async def follow_start(
    folder: StateFolder, on_change: Callable[[StackStatus], None] | None
) -> None:
    """Returns when all is ready. Raises `StackError` if the supervisor fails or goes away."""
    began = time.monotonic()
    seen: StackStatus | None = None
    while time.monotonic() - began < _UP_SECONDS:
        lives = folder.supervisor() is not None
        status = read_status(folder.status)
        if status is not None and status != seen and on_change is not None:
            on_change(status)
        seen = status
        if status is not None and status.phase == "ready":
            return
        if status is not None and status.phase == "failed" and not lives:
            raise StackError(status.message)
        if not lives and (status is not None or time.monotonic() - began > _BIRTH_SECONDS):
            break
        await asyncio.sleep(_POLL)
    raise StackError(
        f"the supervisor did not bring the stack up; {read_tail(folder.log_of(SUPERVISOR))}"
    )
