"""Gateways as processes of their own, for tests of sockets, signals and kills."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from gateway.settings import GatewaySettings

START_SECONDS = 60
END_SECONDS = 25


class Process:
    """One gateway process."""

    def __init__(self, settings: GatewaySettings, port: int, **environment: str) -> None:
        self.port = port
        self.health_port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gateway"],
            env={
                **os.environ,
                **environment_of(settings),
                "MIRSAL_PORT": str(port),
                "MIRSAL_HEALTH_PORT": str(self.health_port),
                **environment,
            },
        )
        self.pid = self._process.pid

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    async def wait_until_ready(self) -> None:
        """Returns once its own health server says so."""
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient() as client:
            while True:
                assert self._process.poll() is None, "the gateway has ended"
                try:
                    url = f"http://127.0.0.1:{self.health_port}/ready"
                    if (await client.get(url)).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.to_thread(self._process.wait, END_SECONDS)

    def end(self) -> None:
        """Kill it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(END_SECONDS)


def free_port() -> int:
    """A port of this machine that nobody uses at the moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def environment_of(settings: GatewaySettings) -> dict[str, str]:
    """The settings as environment variables."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "MIRSAL_TOPIC_PREFIX": settings.topic_prefix,
        "MIRSAL_API_KEY_PEPPER": settings.api_key_pepper.get_secret_value(),
        "MIRSAL_SEAL_LEADS": str(settings.seal_leads),
        "MIRSAL_VAULT_KEYS": settings.vault_keys.get_secret_value(),
        "MIRSAL_ID_SECRET": settings.id_secret.get_secret_value(),
        "MIRSAL_WEBHOOK_KEYS": settings.webhook_keys.get_secret_value(),
        "MIRSAL_RATE_LIMIT_PER_MINUTE": str(settings.rate_limit_per_minute),
        "MIRSAL_BAD_KEYS_PER_MINUTE": str(settings.bad_keys_per_minute),
        "MIRSAL_RATE_LIMIT_WAIT_MS": str(settings.rate_limit_wait_ms),
    }


@asynccontextmanager
async def run_gateway(
    settings: GatewaySettings, port: int, **environment: str
) -> AsyncIterator[Process]:
    """A gateway process that serves on `port`; killed at the end if it still runs."""
    process = Process(settings, port, **environment)
    try:
        await process.wait_until_ready()
        yield process
    finally:
        process.end()
