"""The noop connector: returns the `value` of its config."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mirsal_contracts.nodes.noop import NoopConfig
from mirsal_runtime.attempt import Attempt
from mirsal_runtime.connector import Connector
from pydantic import BaseModel, JsonValue


class NoopResult(BaseModel):
    """What was asked for."""

    value: JsonValue = None


@asynccontextmanager
async def open_nothing() -> AsyncIterator[None]:
    """A connector needs a resource; this one needs none."""
    yield


async def do_nothing(params: NoopConfig, attempt: Attempt, _resource: None) -> NoopResult:
    """Claim, and return."""
    await attempt.claim()
    return NoopResult(value=params.value)


connector: Connector[NoopConfig, NoopResult, None] = Connector(
    name="noop",
    params=NoopConfig,
    result=NoopResult,
    open=open_nothing,
    send=do_nothing,
    repeatable=True,
)
