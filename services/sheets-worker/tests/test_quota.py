"""The quota: counted in Redis for all workers, learned from Google, and without Redis alone."""

import secrets
from collections.abc import AsyncIterator

import pytest
from mirsal_testing.servers.server import Server
from pydantic import SecretStr
from sheets_worker.credentials import Identity
from sheets_worker.errors import Limit
from sheets_worker.quota import Quota, open_quota
from sheets_worker.settings import SheetsSettings

SETTINGS = SheetsSettings(
    reads_per_minute=5, writes_per_minute=6, user_reads_per_minute=3, user_writes_per_minute=4
)


@pytest.fixture
async def quota(valkey_server: Server) -> AsyncIterator[Quota]:
    """One worker's view of the quota."""
    async with open_quota(SecretStr(valkey_server.url), SETTINGS) as opened:
        yield opened


@pytest.fixture
async def alone(unused_tcp_port: int) -> AsyncIterator[Quota]:
    """A worker's whose Redis is away."""
    url = SecretStr(f"redis://127.0.0.1:{unused_tcp_port}/0")
    async with open_quota(url, SETTINGS) as opened:
        yield opened


@pytest.fixture(params=["shared", "alone"])
def either(request: pytest.FixtureRequest, quota: Quota, alone: Quota) -> Quota:
    """With Redis, and without."""
    return quota if request.param == "shared" else alone


def somebody() -> Identity:
    """An account of its own project."""
    return Identity(secrets.token_hex(4), "user")


async def test_users_and_projects_have_their_limits(either: Quota) -> None:
    quota = either
    first = somebody()
    second = first._replace(user="another")
    waits = [(await quota.take("write", first)).wait for _ in range(5)]
    assert waits[:4] == [0.0] * 4
    assert 50 < waits[4] <= 60
    assert [(await quota.take("write", second)).wait for _ in range(2)] == [0.0, 0.0]
    assert (await quota.take("write", second)).wait > 50, "the project's six are used"
    assert (await quota.take("read", first)).wait == 0, "reads are counted apart"


async def test_half_of_a_minute_goes_at_once_and_the_rest_evenly(either: Quota) -> None:
    someone = somebody()
    paces = [(await either.take("write", someone)).pace for _ in range(4)]
    assert paces == [0.0, 15.0, 15.0, 15.0]


async def test_a_limit_is_learned(either: Quota) -> None:
    quota = either
    someone = somebody()
    await quota.learn(Limit("write", "user", 1), someone)
    assert (await quota.take("write", someone)).wait == 0
    assert (await quota.take("write", someone)).wait > 50
    await quota.learn(Limit("write", "user", 100), someone)
    assert (await quota.take("write", someone)).wait == 0


async def test_workers_count_together_and_learn_from_each_other(
    quota: Quota, valkey_server: Server
) -> None:
    someone = somebody()
    await quota.learn(Limit("read", "project", 2), someone)
    async with open_quota(SecretStr(valkey_server.url), SETTINGS) as other:
        assert (await other.take("read", someone)).wait == 0
        assert (await quota.take("read", someone)).wait == 0
        assert (await other.take("read", someone)).wait > 50
