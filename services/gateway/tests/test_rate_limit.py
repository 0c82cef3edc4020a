"""The rate limit: exact over all gateways, and what takes over without Valkey."""

import asyncio
import secrets
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import time_machine
from gateway.auth.rate_limit import Hit, OwnWindows, RateLimiter, client_of
from mirsal_runtime import metrics
from mirsal_testing.faults.tcp_proxy import TcpProxy
from mirsal_testing.servers.server import Server
from pydantic import SecretStr

from services.gateway.tests.conftest import MakeSettings, open_gateway, store_key
from services.gateway.tests.processes import free_port, run_gateway

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEADS = "/api/automation/leads"


async def call(client: httpx.AsyncClient, url: str, count: int) -> list[int]:
    """The statuses of so many calls at once."""
    answers = await asyncio.gather(*(client.get(url + LEADS) for _ in range(count)))
    return [answer.status_code for answer in answers]


async def test_over_the_limit_is_429_exactly_so(make_settings: MakeSettings) -> None:
    settings = make_settings(rate_limit_wait_ms=20_000)
    async with open_gateway(settings) as gateway:
        key = await store_key(settings, gateway.workspace, rate_limit_per_minute=3)
        headers = {"x-api-key": key}
        for left in (2, 1, 0):
            answer = await gateway.client.get(LEADS, headers=headers)
            assert answer.status_code == 200
            assert answer.headers["ratelimit-limit"] == "3"
            assert answer.headers["ratelimit-remaining"] == str(left)
            assert 1 <= int(answer.headers["ratelimit-reset"]) <= 60
        refused = await gateway.client.get(LEADS, headers=headers)
        assert refused.status_code == 429
        body = refused.json()
        assert (body["error"], body["retryAfter"]) == ("Too many automation requests", 60)
        assert body["type"] == "urn:mirsal:problem:too-many-requests"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["ratelimit-remaining"] == "0"
        assert not [name for name in refused.headers if name.startswith("x-ratelimit")]
        # Another key of the workspace has its own count; health has none.
        assert (await gateway.client.get(LEADS)).status_code == 200
        for path in ("/api/health", "/api/automation/health"):
            answer = await gateway.client.get(path, headers=headers)
            assert answer.status_code == 200
            assert "ratelimit-limit" not in answer.headers


async def test_an_address_has_one_count_on_all_gateways(make_settings: MakeSettings) -> None:
    """Two gateway processes, 150 calls at once each: exactly the limit gets through."""
    limit = secrets.randbelow(60) + 100  # A count that no other test has.
    # However busy this machine is, Valkey shall do the counting.
    settings = make_settings(rate_limit_per_minute=limit, rate_limit_wait_ms=20_000)
    key = await store_key(settings, f"w-{secrets.token_hex(4)}")
    async with (
        run_gateway(settings, free_port()) as one,
        run_gateway(settings, free_port()) as other,
        httpx.AsyncClient(headers={"x-api-key": key}, timeout=60) as client,
    ):
        assert one.pid != other.pid
        results = await asyncio.gather(call(client, one.url, 150), call(client, other.url, 150))
        statuses = results[0] + results[1]
        assert statuses.count(200) == limit
        assert statuses.count(429) == 300 - limit
        for process in (one, other):
            metrics_text = (
                await client.get(f"http://127.0.0.1:{process.health_port}/metrics")
            ).text
            assert "mirsal_rate_limiter_alone 0.0" in metrics_text


async def test_a_key_without_limit_is_never_counted(make_settings: MakeSettings) -> None:
    settings = make_settings(rate_limit_per_minute=1)
    async with open_gateway(settings) as gateway:
        key = await store_key(settings, gateway.workspace, rate_limit_per_minute=0)
        for _ in range(3):
            answer = await gateway.client.get(LEADS, headers={"x-api-key": key})
            assert answer.status_code == 200
            assert "ratelimit-limit" not in answer.headers


@pytest.mark.parametrize("of_key", [0, 3, 1_000])
async def test_no_key_goes_beyond_its_workspaces_limit(
    make_settings: MakeSettings, of_key: int
) -> None:
    """The installation sets the workspace's, and whoever may make keys sets theirs."""
    settings = make_settings(rate_limit_wait_ms=20_000)
    async with open_gateway(settings) as gateway:
        await gateway.sql.execute(
            "INSERT INTO gateway.workspace_limits VALUES ($1, 5)", gateway.workspace
        )
        statuses = []
        for _ in range(3):
            key = await store_key(settings, gateway.workspace, rate_limit_per_minute=of_key)
            answers = [
                await gateway.client.get(LEADS, headers={"x-api-key": key}) for _ in range(4)
            ]
            statuses += [answer.status_code for answer in answers]
        assert statuses.count(200) == 5
        assert answers[-1].headers["ratelimit-limit"] == ("3" if of_key == 3 else "5")
        assert answers[-1].headers["ratelimit-remaining"] == "0"


async def test_a_wrong_key_counts_for_nobody(make_settings: MakeSettings) -> None:
    settings = make_settings(
        rate_limit_per_minute=secrets.randbelow(500) + 1_000, rate_limit_wait_ms=20_000
    )
    async with open_gateway(settings) as gateway:
        first = await gateway.client.get(LEADS)
        for _ in range(5):
            await gateway.client.get(LEADS, headers={"x-api-key": "wrong"})
        second = await gateway.client.get(LEADS)
        left = [int(each.headers["ratelimit-remaining"]) for each in (first, second)]
        assert left[0] - left[1] == 1


async def test_without_valkey_each_gateway_counts_for_itself(make_settings: MakeSettings) -> None:
    settings = make_settings(redis_url=SecretStr("redis://127.0.0.1:1/0"), rate_limit_per_minute=20)
    async with open_gateway(settings) as gateway:
        assert (await call(gateway.client, "", 30)).count(200) == 20
        assert metrics.RATE_LIMITER_ALONE._value.get() == 1
        health = await gateway.client.get("/api/automation/health")
        assert health.status_code == 200
        assert health.json()["dependencies"]["redis"]["status"] == "down"


async def test_a_slow_valkey_costs_a_call_at_most_a_moment(valkey_server: Server) -> None:
    port = int(valkey_server.url.rsplit(":", 1)[1].split("/")[0])
    async with TcpProxy("127.0.0.1", port) as proxy:
        limiter = RateLimiter(SecretStr(f"redis://127.0.0.1:{proxy.port}/0"), seconds=0.25)
        client = secrets.token_hex(8)
        try:
            assert (await limiter.hit(client, 100)).remaining == 99
            assert metrics.RATE_LIMITER_ALONE._value.get() == 0
            proxy.delay(0.7)
            started = time.monotonic()
            verdicts = [await limiter.hit(client, 100) for _ in range(5)]
            seconds = time.monotonic() - started
            assert all(verdict.allowed for verdict in verdicts)
            assert metrics.RATE_LIMITER_ALONE._value.get() == 1
            # One call waited a quarter of a second, the others not at all; else it were 3.5 s.
            assert seconds < 1.5
            await proxy.heal()
            async with asyncio.timeout(10):
                while metrics.RATE_LIMITER_ALONE._value.get():
                    await asyncio.sleep(0.1)
                    await limiter.hit(client, 100)
        finally:
            await limiter.stop()


async def test_a_connection_that_was_cut_does_not_make_valkey_look_down(
    valkey_server: Server,
) -> None:
    port = int(valkey_server.url.rsplit(":", 1)[1].split("/")[0])
    async with TcpProxy("127.0.0.1", port) as proxy:
        limiter = RateLimiter(SecretStr(f"redis://127.0.0.1:{proxy.port}/0"), seconds=20)
        try:
            assert await limiter.check() is None
            assert await proxy.reset() == 1
            assert await limiter.check() is None
        finally:
            await limiter.stop()


# When a client of two calls a minute calls, and what it is told: allowed, remaining, reset.
MOVING = [
    (0.0, (True, 1, 60)),
    (25.0, (True, 0, 35)),
    (26.5, (False, 0, 34)),
    (59.5, (False, 0, 1)),
    (60.5, (True, 0, 25)),
    (84.0, (False, 0, 1)),
    (200.0, (True, 1, 60)),
]


def test_a_window_of_its_own_moves() -> None:
    now = 0.0
    windows = OwnWindows(lambda: now)
    for moment, told in MOVING:
        now = moment
        verdict = windows.hit(Hit("a", 2))
        assert (verdict.allowed, verdict.remaining, verdict.reset_seconds) == told, moment
    assert windows.hit(Hit("b", 2)).remaining == 1


async def test_a_shared_window_moves(valkey_server: Server) -> None:
    client, limiter = secrets.token_hex(8), RateLimiter(SecretStr(valkey_server.url), seconds=20)
    try:
        with time_machine.travel(NOON, tick=False) as clock:
            for moment, told in MOVING:
                clock.move_to(NOON + timedelta(seconds=moment))
                verdict = await limiter.hit(client, 2)
                assert (verdict.allowed, verdict.remaining, verdict.reset_seconds) == told, moment
    finally:
        await limiter.stop()


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("testclient", "unknown"),
    ],
)
def test_a_client_is_an_address_or_a_network(address: str, client: str) -> None:
    assert client_of(address) == client
