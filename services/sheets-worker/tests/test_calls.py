"""Calls as Google's quota lets them."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from sheets_worker.calls import LONGEST_PAUSE, Calls
from sheets_worker.errors import Code, Throttled

if TYPE_CHECKING:
    from sheets_worker.google import SheetsApi
    from sheets_worker.quota import Quota


class Refusing:
    """A Google that refuses each call."""

    async def call(self, *_arguments: Any, **_options: Any) -> None:
        """See `SheetsApi`."""
        await asyncio.sleep(0)
        raise Throttled(Code.QUOTA, "later", retry_after=60)


async def test_a_day_of_refusals_is_still_a_pause() -> None:
    """2.0 ** 1024 is no float."""
    calls = Calls(cast("SheetsApi", Refusing()), cast("Quota", None))
    for _ in range(1100):
        with pytest.raises(Throttled) as refused:
            await calls.write(lambda _client: None, not_after=0.0)
    assert refused.value.retry_after <= LONGEST_PAUSE


async def test_calls_that_are_refused_together_are_one_refusal() -> None:
    """Of eight tabs that are written at a time, each doubled the pause of all: to a minute."""
    calls = Calls(cast("SheetsApi", Refusing()), cast("Quota", None))

    async def refuse() -> float:
        with pytest.raises(Throttled) as refused:
            await calls.write(lambda _client: None, not_after=0.0)
        return refused.value.retry_after

    assert max(await asyncio.gather(*(refuse() for _ in range(8)))) <= 1
    again = await asyncio.gather(*(refuse() for _ in range(8)))
    assert all(1 <= pause <= 2 for pause in again)
