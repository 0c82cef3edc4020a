"""A migrated database and topics of one test run; each test has a workspace of its own."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import asyncpg
import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer
from gateway.application import build_app
from gateway.audit.origins import origin_of_command
from gateway.auth.access import Role
from gateway.auth.keys import digest_of, generate_key, hint_of
from gateway.auth.store import KeyStore, NewKey
from gateway.services import Services, open_services
from gateway.settings import GatewaySettings
from gateway.store import open_database
from mirsal_contracts.message import Envelope
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.topics import EXECUTIONS_REQUESTED_V1
from mirsal_runtime.depths import DepthsUnknown, read_depths
from mirsal_runtime.vault.keys import write_new_key
from mirsal_testing.servers.apart import run_apart
from mirsal_testing.servers.databases import create_database, drop_database, with_database
from mirsal_testing.servers.server import Server
from pydantic import SecretStr

from services.gateway.tests.opened import lead_keys, open_request

if TYPE_CHECKING:
    from aiokafka.structs import ConsumerRecord

MIGRATION_SECONDS = 60
KAFKA_SECONDS = 20
ASKED = RunRequested.TYPE
WELCOME: dict[str, Any] = {
    "name": "Welcome",
    "nodes": [
        {"id": "mail", "type": "email", "config": {"subject": "Hi {{lead.name}}", "body": "Hello"}},
        {"id": "chat", "type": "whatsapp", "config": {"text": "Hi {{lead.name}}"}},
    ],
    "connections": [{"from": "mail", "to": "chat"}],
}
AHMED: dict[str, Any] = {
    "name": "أحمد محمد",
    "email": "ahmed@example.com",
    "phone": "+201001234567",
    "locale": "ar-EG",
    "timeZone": "Africa/Cairo",
    "tags": ["new"],
    "fields": {"city": "القاهرة"},
    "consent": {"email": True},
}


class MakeSettings(Protocol):
    """Makes settings of a gateway that uses the test run's servers."""

    def __call__(self, **changes: Any) -> GatewaySettings: ...


class Requested(NamedTuple):
    """A record of the topic of requests."""

    key: str
    request: RunRequested
    envelope: Envelope

    @classmethod
    def read(cls, record: "ConsumerRecord[bytes, bytes]") -> "Requested":
        """The record, parsed."""
        return cls(
            (record.key or b"").decode(),
            RunRequested.model_validate_json(record.value or b""),
            Envelope.from_headers(record.headers),
        )


@dataclass
class Gateway:
    """A gateway in this process, and one caller's workspace with a lead and a workflow."""

    client: httpx.AsyncClient
    services: Services
    settings: GatewaySettings
    workspace: str
    key: str
    sql: "asyncpg.Connection[asyncpg.Record]"

    async def put_welcome(self, workflow_id: str = "welcome", lead_id: str = "ahmed") -> None:
        """Save the workflow and the lead that most tests need."""
        saved = await self.client.put(f"/api/automation/workflow/{workflow_id}", json=WELCOME)
        assert saved.status_code == 201, saved.text
        saved = await self.client.put(f"/api/automation/lead/{lead_id}", json=AHMED)
        assert saved.status_code == 201, saved.text

    async def count_requests(self) -> int:
        """How many records the topic of requests holds."""
        async with asyncio.timeout(KAFKA_SECONDS):
            while True:
                with suppress(DepthsUnknown):  # A busy machine.
                    (depth,) = await read_depths(self.settings, {EXECUTIONS_REQUESTED_V1.name: ""})
                    return depth.depth

    async def find_controls(self, run_id: str, count: int = 1) -> list[dict[str, Any]]:
        """What was wanted of a run, with each message's type, once there are so many."""
        topic = self.settings.topic_prefix + EXECUTIONS_REQUESTED_V1.name
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        found: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(KAFKA_SECONDS):
                while len(found) < count:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += [
                            {"type": type_of(each), **orjson.loads(each.value or b"")}
                            for each in records
                            if each.key == run_id.encode() and type_of(each) != ASKED
                        ]
        finally:
            await consumer.stop()
        return found

    async def find_requests(self, *run_ids: str) -> list[Requested]:
        """The records of these runs, in their order in Kafka, opened; waits until each has one."""
        topic = self.settings.topic_prefix + EXECUTIONS_REQUESTED_V1.name
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        found: list[Requested] = []
        try:
            async with asyncio.timeout(KAFKA_SECONDS):
                while not set(run_ids) <= {each.request.run_id for each in found}:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += [
                            Requested.read(each) for each in records if type_of(each) == ASKED
                        ]
        finally:
            await consumer.stop()
        keys = lead_keys(self.sql, self.settings)
        return [
            each._replace(request=await open_request(each.request, keys))
            for each in found
            if each.request.run_id in run_ids
        ]

    async def add_key(self, workspace: str, **options: Any) -> str:
        """Another key, of any workspace."""
        return await store_key(self.settings, workspace, **options)


def type_of(record: "ConsumerRecord[bytes, bytes]") -> str:
    """What a record says it is."""
    return Envelope.from_headers(record.headers).type


async def store_key(settings: GatewaySettings, workspace: str, **options: Any) -> str:
    """A new API key of a workspace."""
    key = generate_key()
    async with open_database(settings, purpose="tests", size=1) as database:
        digest = digest_of(key, settings.api_key_pepper)
        await KeyStore(database).add(
            NewKey(workspace, "tests", hint_of(key), digest, **{"role": Role.EDITOR, **options}),
            origin_of_command("tests"),
        )
    return key


def run_module(*arguments: str, **environment: str) -> str:
    """Run a program of the product to its end; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=MIGRATION_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def database_url(postgres_server: Server) -> Iterator[str]:
    """A database with the schemas of the gateway and of those whose views it reads."""
    name = f"gateway_{secrets.token_hex(6)}"
    run_apart(create_database(postgres_server.url, name))
    url = with_database(postgres_server.url, name)
    for service in ("gateway", "orchestrator", "webhook_worker"):
        run_module(f"{service}.migrate", DATABASE_URL=url)
    yield url
    run_apart(drop_database(postgres_server.url, name))


@pytest.fixture(scope="session")
def topic_prefix(kafka_server: Server) -> str:
    """The prefix of this test run's topics, which exist."""
    prefix = f"gw{secrets.token_hex(4)}."
    run_module(
        "mirsal_runtime.topics",
        "apply",
        KAFKA_BOOTSTRAP_SERVERS=kafka_server.url,
        MIRSAL_TOPIC_PREFIX=prefix,
    )
    return prefix


@pytest.fixture(scope="session")
def make_settings(
    database_url: str, topic_prefix: str, kafka_server: Server, valkey_server: Server
) -> MakeSettings:
    """Settings of gateways on the test run's servers; without a rate limit unless told."""
    own: dict[str, Any] = {
        "kafka_bootstrap_servers": kafka_server.url,
        "database_url": SecretStr(database_url),
        "redis_url": SecretStr(valkey_server.url),
        "topic_prefix": topic_prefix,
        "api_key_pepper": SecretStr(secrets.token_hex(32)),
        "id_secret": SecretStr(secrets.token_hex(32)),
        "vault_keys": SecretStr(write_new_key("test-1")),
        "seal_leads": True,
        "rate_limit_per_minute": 0,
        "bad_keys_per_minute": 0,
    }

    def make(**changes: Any) -> GatewaySettings:
        return GatewaySettings(**{**own, **changes})

    return make


@asynccontextmanager
async def open_gateway(settings: GatewaySettings) -> AsyncIterator[Gateway]:
    """A gateway in this process with a fresh workspace."""
    workspace = f"w-{secrets.token_hex(4)}"
    key = await store_key(settings, workspace)
    app = build_app()
    sql = await asyncpg.connect(settings.database_url.get_secret_value())
    await sql.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda v: orjson.dumps(v).decode(),
        decoder=orjson.loads,
    )
    async with open_services(settings) as services:
        app.state.services = services
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://gateway", headers={"x-api-key": key}
        ) as client:
            yield Gateway(client, services, settings, workspace, key, sql)
    await sql.close()


@pytest.fixture
async def gateway(make_settings: MakeSettings) -> AsyncIterator[Gateway]:
    """A gateway in this process with a fresh workspace."""
    async with open_gateway(make_settings()) as opened:
        yield opened
