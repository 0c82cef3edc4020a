"""A connector whose effect must not be repeated: it appends a line to a file.

Run as a process by the tests of kills. A config's value may hold `before` and `after`: seconds
that pass before the claim, and in the call after its effect.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mirsal_contracts.nodes.noop import NoopConfig
from mirsal_runtime.app import connector_app
from mirsal_runtime.attempt import Attempt
from mirsal_runtime.connector import Connector
from pydantic import BaseModel


class Appended(BaseModel):
    """The result."""

    line: str


@asynccontextmanager
async def open_file() -> AsyncIterator[int]:
    """The file of effects."""
    file = os.open(os.environ["PROBE_EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        yield file
    finally:
        os.close(file)


async def append(params: NoopConfig, attempt: Attempt, file: int) -> Appended:
    """Have the effect."""
    value = params.value if isinstance(params.value, dict) else {}
    await asyncio.sleep(float(str(value.get("before", 0))))
    await attempt.claim()
    line = f"{attempt.command.run_id} {attempt.command.attempt} {os.getpid()}"
    os.write(file, f"{line}\n".encode())
    await asyncio.sleep(float(str(value.get("after", 0))))
    return Appended(line=line)


connector: Connector[NoopConfig, Appended, int] = Connector(
    name="noop", params=NoopConfig, result=Appended, open=open_file, send=append
)

if __name__ == "__main__":
    connector_app(connector).run()
