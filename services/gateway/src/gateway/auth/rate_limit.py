"""How often a client may call: a moving minute, counted for all gateways together in Valkey."""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from mirsal_runtime import metrics
from mirsal_runtime.batching import Batcher
from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, RedisError

from gateway.deadlines import within

WINDOW_SECONDS = 60
REST_SECONDS = 1.0
"""How long Valkey is left alone after it failed."""
CONNECTIONS = 4
CLIENTS_OF_ITS_OWN = 50_000
NO_ADDRESS = "unknown"

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


class Hit(NamedTuple):
    """One request of a client who may have `limit` in a minute."""

    client: str
    limit: int


class SharedWindows:
    """The moving minutes in Valkey: the scripts of `limits`, for many hits in one round trip."""

    def __init__(self, url: SecretStr) -> None:
        self._pool = BlockingConnectionPool.from_url(
            url.get_secret_value(),
            max_connections=CONNECTIONS,
            timeout=REST_SECONDS,
            socket_connect_timeout=REST_SECONDS,
            socket_timeout=REST_SECONDS,
        )
        self._redis = Redis(connection_pool=self._pool)
        storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            connection_pool=self._pool,  # type: ignore[arg-type] # documented, not declared
        )
        self._prefixed = storage.bridge.prefixed_key
        self._acquire = self._redis.register_script(storage.bridge.SCRIPT_ACQUIRE_MOVING_WINDOW)
        self._look = self._redis.register_script(storage.bridge.SCRIPT_MOVING_WINDOW)

    async def hit(self, hits: Sequence[Hit]) -> list[Verdict]:
        """Count all. Raises `RedisError` and `OSError`."""
        try:
            return await self._run(hits)
        except NoScriptError:
            for script in (self._acquire, self._look):
                await self._redis.script_load(script.script)
            return await self._run(hits)

    async def ping(self) -> None:
        """Raises `RedisError` and `OSError` when Valkey does not answer."""
        try:
            await self._redis.ping()
        except Disconnected:
            # A connection that a restart of Valkey has cut shows that at its next use only.
            await self._pool.disconnect(inuse_connections=False)
            await self._redis.ping()

    async def stop(self) -> None:
        """Close the connections."""
        await self._pool.disconnect()

    async def _run(self, hits: Sequence[Hit]) -> list[Verdict]:
        now = time.time()
        async with self._redis.pipeline(transaction=False) as pipeline:
            for hit in hits:
                key = self._prefixed(RateLimitItemPerMinute(hit.limit).key_for(hit.client))
                pipeline.evalsha(self._acquire.sha, 1, key, now, hit.limit, WINDOW_SECONDS, 1)
                pipeline.evalsha(self._look.sha, 1, key, now - WINDOW_SECONDS, hit.limit)
            answers = await pipeline.execute()
        return [
            _verdict(hit, acquired, window, now)
            for hit, acquired, window in zip(hits, answers[::2], answers[1::2], strict=True)
        ]


class RateLimiter:
    """Counts in Valkey; where that does not answer in `seconds`, in this process instead.

    While it counts by itself each gateway lets the whole limit through, so a client gets at most
    the limit times the number of gateways.
    """

    def __init__(self, url: SecretStr, *, seconds: float) -> None:
        self._seconds = seconds
        self._shared = SharedWindows(url)
        self._own = OwnWindows()
        self._rests_until = 0.0
        self._hits: Batcher[Hit, Verdict] = Batcher(self._flush, limit=200)

    async def hit(self, client: str, limit: int) -> Verdict:
        """Count one request of `client`, who may have `limit` in a minute. Never fails."""
        hit = Hit(client, limit)
        if time.monotonic() < self._rests_until:
            return self._own.hit(hit)
        return await self._hits.submit(hit)

    async def check(self) -> str | None:
        """Whether Valkey answers: None, or what is wrong. The gateway works without it."""
        try:
            await self._shared.ping()
        except (RedisError, OSError):
            return "Valkey does not answer"
        return None

    async def stop(self) -> None:
        """Close the connections."""
        await self._shared.stop()

    async def _flush(self, hits: Sequence[Hit]) -> list[Verdict]:
        if time.monotonic() >= self._rests_until:
            try:
                verdicts = await within(self._seconds, self._shared.hit(hits))
            except (RedisError, OSError, TimeoutError) as error:
                self._rests_until = time.monotonic() + REST_SECONDS
                log.warning("rate_limiter_alone", error=error)
            else:
                metrics.RATE_LIMITER_ALONE.set(0)
                return verdicts
        metrics.RATE_LIMITER_ALONE.set(1)
        return [self._own.hit(hit) for hit in hits]


class OwnWindows:
    """The moving minutes of this process alone; `clock` gives seconds since some moment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hits: dict[str, deque[float]] = {}

    def hit(self, hit: Hit) -> Verdict:
        """As `RateLimiter.hit`."""
        client, limit = hit
        now = self._clock()
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
    """What counts as one client: an IPv4 address, or an IPv6 network of 64 bits.

    All that a proxy passes on and that is no address are one: else each made-up one had a limit of
    its own.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return NO_ADDRESS
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ip_network((parsed, 64), strict=False).network_address)
    return address


def is_address(text: str) -> bool:
    """Whether it is an IP address, as one that a proxy passes on ought to be."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _verdict(hit: Hit, acquired: object, window: Sequence[bytes] | None, now: float) -> Verdict:
    """What the two scripts said: whether it counts, and oldest hit and number of the minute."""
    oldest, count = (float(window[0]), int(window[1])) if window else (now, 0)
    left = max(0, hit.limit - count) if acquired else 0
    return Verdict(bool(acquired), hit.limit, left, _seconds_until(oldest + WINDOW_SECONDS - now))


def _seconds_until(seconds: float) -> int:
    return min(max(1, math.ceil(seconds)), WINDOW_SECONDS)
