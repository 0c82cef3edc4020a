"""The index of an address, and what happens while the lists cannot be read.

What the lists say is tested where they are written: services/gateway/tests/test_sending.py.
"""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from mirsal_runtime.failures import ThrottledError
from mirsal_runtime.suppressions import AWAY_SECONDS, Pool, Suppressions
from mirsal_runtime.vault.address_index import INDEX_BYTES, derive_index_key, index_address
from mirsal_runtime.vault.keys import GivenKeys, write_new_key
from mirsal_runtime.vault.sealing import make_key
from pydantic import SecretStr

NOBODY_THERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
async def away() -> AsyncIterator[Pool]:
    """Connections to a server that is not there."""
    async with asyncpg.create_pool(NOBODY_THERE, min_size=0, max_size=1, timeout=1) as pool:
        yield pool


def test_an_address_has_one_index_whatever_its_case() -> None:
    key = derive_index_key(make_key())
    index = index_address(key, "email", "Sara@Example.com")
    assert index == index_address(key, "email", "sara@example.COM")
    assert len(index) == INDEX_BYTES


def test_another_key_channel_or_address_has_another_index() -> None:
    data_key = make_key()
    key, other = derive_index_key(data_key), derive_index_key(make_key())
    indexes = {
        index_address(key, "email", "sara@example.com"),
        index_address(other, "email", "sara@example.com"),
        index_address(data_key, "email", "sara@example.com"),
        index_address(key, "whatsapp", "sara@example.com"),
        index_address(key, "email", "sara+news@example.com"),
    }
    assert len(indexes) == 5


async def test_nobody_is_written_to_while_nobody_can_tell(away: Pool) -> None:
    lists = Suppressions(away, GivenKeys(SecretStr(write_new_key("tests"))), "email")
    for _ in range(2):
        with pytest.raises(ThrottledError) as caught:
            await lists.has_rules("acme")
        assert caught.value.code == "suppressions_unknown"
        assert caught.value.retry_after == AWAY_SECONDS
