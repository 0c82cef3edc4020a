"""How often a client may call: a moving minute, counted for all gateways together in Valkey."""

import asyncio
import math
import time
from collections import deque
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from mirsal_runtime import metrics
from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool
from redis.exceptions import RedisError

WINDOW_SECONDS = 60
CALL_SECONDS = 0.05
"""What the limiter may cost a request."""
REST_SECONDS = 1.0
"""How long Valkey is left alone after it failed."""
CONNECTIONS = 20
CLIENTS_OF_ITS_OWN = 50_000

log = structlog.get_logger(__name__)


class Verdict(NamedTuple):
    """What became of one hit; `reset_seconds` is when the oldest counted hit leaves the minute."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The standard RateLimit fields (draft-ietf-httpapi-ratelimit-headers-03)."""
        return [
            (b"ratelimit-limit", b"%d" % self.limit),
            (b"ratelimit-remaining", b"%d" % self.remaining),
            (b"ratelimit-reset", b"%d" % self.reset_seconds),
        ]


class RateLimiter:
    """Counts in Valkey; where that does not answer within 50 ms, in this process instead.

    While it counts by itself each gateway lets the whole limit through, so a client gets at most
    the limit times the number of gateways.
    """

    def __init__(self, url: SecretStr) -> None:
        self._pool = BlockingConnectionPool.from_url(
            url.get_secret_value(),
            max_connections=CONNECTIONS,
            timeout=CALL_SECONDS,
            socket_connect_timeout=REST_SECONDS,
            socket_timeout=REST_SECONDS,
        )
        self._shared = MovingWindowRateLimiter(
            RedisStorage(
                "async+redis://",
                implementation="redispy",
                connection_pool=self._pool,  # type: ignore[arg-type] # documented, not declared
            )
        )
        self._own = OwnWindows()
        self._rests_until = 0.0

    async def hit(self, client: str, limit: int) -> Verdict:
        """Count one request of `client`, who may have `limit` in a minute. Never fails."""
        if time.monotonic() >= self._rests_until:
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    verdict = await self._hit_shared(client, limit)
            except (RedisError, OSError, TimeoutError) as error:
                self._rests_until = time.monotonic() + REST_SECONDS
                log.warning("rate_limiter_alone", error=type(error).__name__)
            else:
                metrics.RATE_LIMITER_ALONE.set(0)
                return verdict
        metrics.RATE_LIMITER_ALONE.set(1)
        return self._own.hit(client, limit)

    async def check(self) -> str | None:
        """Whether Valkey answers: None, or what is wrong. The gateway works without it."""
        return None if await self._shared.storage.check() else "Valkey does not answer"

    async def stop(self) -> None:
        """Close the connections."""
        await self._pool.disconnect()

    async def _hit_shared(self, client: str, limit: int) -> Verdict:
        item = RateLimitItemPerMinute(limit)
        allowed = await self._shared.hit(item, client)
        window = await self._shared.get_window_stats(item, client)
        return Verdict(
            allowed,
            limit,
            max(0, window.remaining) if allowed else 0,
            _seconds_until(window.reset_time - time.time()),
        )


class OwnWindows:
    """The moving minutes of this process alone."""

    def __init__(self) -> None:
        self._hits: dict[str, deque[float]] = {}

    def hit(self, client: str, limit: int) -> Verdict:
        """As `RateLimiter.hit`."""
        now = time.monotonic()
        if client not in self._hits and len(self._hits) >= CLIENTS_OF_ITS_OWN:
            self._hits.clear()
        hits = self._hits.setdefault(client, deque())
        while hits and hits[0] <= now - WINDOW_SECONDS:
            hits.popleft()
        allowed = len(hits) < limit
        if allowed:
            hits.append(now)
        reset = _seconds_until(hits[0] + WINDOW_SECONDS - now) if hits else WINDOW_SECONDS
        return Verdict(allowed, limit, limit - len(hits), reset)


def client_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ip_network((parsed, 64), strict=False).network_address)
    return address


def _seconds_until(seconds: float) -> int:
    return min(max(1, math.ceil(seconds)), WINDOW_SECONDS)
