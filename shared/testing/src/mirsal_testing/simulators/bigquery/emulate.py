"""The program that runs `bqemulator` as it is, at a port: `python -m ...bigquery.emulate PORT`.

It needs no internet and writes nothing outside its HOME. It ends with the process that started it,
even if that is killed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from pathlib import Path

import duckdb
from bqemulator.config import LogLevel, Settings
from bqemulator.server import EmulatorServer
from duckdb_extensions import import_extension

_LOOK_FOR_PARENT_SECONDS = 0.5


def install_spatial() -> None:
    """Puts DuckDB's `spatial`, which the emulator loads, from its wheel into HOME: once."""
    with (Path.home() / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with duckdb.connect() as connection:
            import_extension("spatial", con=connection)


def settings(port: int) -> Settings:
    return Settings(
        rest_port=port,
        grpc_port=0,
        # It copies a whole table at each insert for time travel: kept for as short as it can.
        time_travel_retention_days=0,
        query_cache_ttl_seconds=0,
        enable_format_extensions=False,
        metrics_enabled=False,
        log_level=LogLevel.WARNING,
    )


async def serve(port: int) -> None:
    parent = os.getppid()
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    server = EmulatorServer(settings(port))
    await server.start()
    while os.getppid() == parent and not asked_to_stop.is_set():
        try:
            async with asyncio.timeout(_LOOK_FOR_PARENT_SECONDS):
                await asked_to_stop.wait()
        except TimeoutError:
            continue
    # Its own stop waits two seconds for callers of its gRPC part: there are none.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    install_spatial()
    asyncio.run(serve(int(sys.argv[1])))
