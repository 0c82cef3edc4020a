"""What services need built before they start: done by their own build modules, once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

from mirsal_testing.servers.cache import cache_folder
from mirsal_testing.servers.server import ServerError
from mirsal_testing.stack.table import find_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirsal_testing.stack.table import Service


async def prepare_services(environment: Mapping[str, str]) -> None:
    """Build what the services that will run need; quick if it is there.

    In a process of its own: the table may be a module that only `environment` leads to. Progress
    goes to standard error. Raises `ServerError` with what to do.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mirsal_testing.stack", "prepare", env=dict(environment)
    )
    try:
        code = await process.wait()
    except BaseException:
        process.terminate()
        raise
    if code != 0:
        raise ServerError("what a service needs could not be built: the reason stands above")


def build_parts(environment: Mapping[str, str]) -> int:
    """Build what the services of this process's own environment need; the exit code."""
    given = {**environment, "MIRSAL_CACHE_DIR": str(cache_folder())}
    for service in find_table(environment).services:
        if service.prepares is not None and _runs(service, environment):
            command = [sys.executable, "-m", service.prepares]
            done = subprocess.run(  # noqa: S603 - a module of our own
                command, stdout=subprocess.DEVNULL, env=given, check=False
            )
            if done.returncode != 0:
                return done.returncode
    return 0


def _runs(service: Service, environment: Mapping[str, str]) -> bool:
    return environment.get(service.setting, str(service.processes)) != "0"
