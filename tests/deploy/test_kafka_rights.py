"""The generated rights on a real broker that knows each service by its certificate."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import CreateAclsRequest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from mirsal_contracts.topics import (
    COMMANDS,
    DEAD_LETTERS,
    EXECUTIONS_REQUESTED_V1,
    NODE_STATUSES_V1,
    RUN_TIMERS_V1,
    TOPICS,
    Topic,
)
from mirsal_deploy.kafka_objects import rights_of, users_of
from mirsal_deploy.places import ROOT, SERVICES, read_topics
from mirsal_runtime.broker import BrokerUnavailable, Outgoing, Publisher, make_consumer
from mirsal_runtime.depths import DepthsUnknown, read_depths
from mirsal_runtime.settings import RuntimeSettings
from mirsal_runtime.topics import TopicsPresent, apply_topics
from mirsal_testing.servers.kafka import KafkaServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

RESOURCES = {"topic": 2, "group": 3}
OPERATIONS = {"Read": 3, "Write": 4, "Describe": 8}
LITERAL, ALLOW = 3, 3
USERS = users_of(read_topics(ROOT))
CONNECTOR_OF = {topic.reader: name for name, topic in COMMANDS.items()}
LISTENERS = """
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},SSL://127.0.0.1:{tls}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SSL://127.0.0.1:{tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL
ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
ssl.principal.mapping.rules=RULE:^.*CN=([a-z-]+).*$/CN=$1/
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


class GuardedKafka(KafkaServer):
    """Kafka with a second listener, as the cluster's: TLS both ways, and rights by name.

    Who comes in plain text is its administrator.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._authority = trustme.CA()
        self.tls_port = self._kept.port("tlsPort")

    def settings_of(self, service: str) -> RuntimeSettings:
        """The settings that the service's pod has."""
        issued = self._authority.issue_cert(f"{service}.example", common_name=service)
        issued.cert_chain_pems[0].write_to_path(str(self.home / f"{service}.crt"))
        issued.private_key_pem.write_to_path(str(self.home / f"{service}.key"))
        return self.stranger().model_copy(
            update={
                "kafka_certificate_file": self.home / f"{service}.crt",
                "kafka_key_file": self.home / f"{service}.key",
                "instance": f"{service}-0",
            }
        )

    def stranger(self) -> RuntimeSettings:
        """Settings of somebody who trusts the broker and has no certificate."""
        return RuntimeSettings.model_validate(
            {
                "kafka_bootstrap_servers": f"127.0.0.1:{self.tls_port}",
                "kafka_ca_file": self.home / "ca.pem",
            }
        )

    def _write_settings(self) -> None:
        super()._write_settings()
        issued = self._authority.issue_cert("127.0.0.1")
        self._authority.cert_pem.write_to_path(str(self.home / "ca.pem"))
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        whole = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.home / "server.pem").write_bytes(whole + issued.cert_chain_pems[0].bytes())
        more = LISTENERS.format(
            port=self.port,
            controller=self.controller_port,
            tls=self.tls_port,
            folder=self.home,
        )
        with self._settings_file.open("a", encoding="utf-8") as file:
            file.write(more)


async def grant(kafka: KafkaServer, service: str) -> None:
    """Give the service its generated rights, as Strimzi's operator does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.url)
    await admin.start()
    try:
        for kind, name, operations in rights_of(service, read_topics(ROOT)):
            for operation in operations:
                answer = await admin._send_to_controller(
                    CreateAclsRequest(
                        RESOURCES[kind],
                        name,
                        LITERAL,
                        f"User:CN={service}",
                        "*",
                        OPERATIONS[operation],
                        ALLOW,
                    )
                )
                assert answer.to_object()["creation_responses"][0]["error_code"] == 0
    finally:
        await admin.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GuardedKafka]:
    server = GuardedKafka(tmp_path_factory.mktemp("guarded"))
    await server.start()
    try:
        await apply_topics(RuntimeSettings.model_validate({"kafka_bootstrap_servers": server.url}))
        for service in USERS:
            await grant(server, service)
        yield server
    finally:
        await server.stop()


async def can_write(settings: RuntimeSettings, topic: str) -> bool:
    """Whether Kafka takes a record."""
    publisher = Publisher(settings, send_seconds=2.0)
    try:
        await publisher.send([Outgoing(topic, "key", b"{}", [])])
    except BrokerUnavailable:
        return False
    else:
        return True
    finally:
        await publisher.stop()


def writes_of(service: str) -> Sequence[Topic]:
    """The topics that the service's code writes."""
    if service == "gateway":
        return [EXECUTIONS_REQUESTED_V1]
    if service == "orchestrator":
        return [*COMMANDS.values(), RUN_TIMERS_V1, DEAD_LETTERS["orchestrator"]]
    return [DEAD_LETTERS[CONNECTOR_OF[service]], NODE_STATUSES_V1]


async def test_each_service_may_do_what_its_code_does(kafka: GuardedKafka) -> None:
    for service in USERS:
        settings = kafka.settings_of(service)
        connector = CONNECTOR_OF.get(service)
        seen = (
            TOPICS
            if connector is None
            else [COMMANDS[connector], DEAD_LETTERS[connector], NODE_STATUSES_V1]
        )
        assert await TopicsPresent(settings, seen)() is None, service
        allowed = await asyncio.gather(
            *(can_write(settings, topic.name) for topic in writes_of(service))
        )
        assert allowed
        assert all(allowed), service


@pytest.mark.parametrize(
    ("service", "topic"),
    [
        ("gateway", NODE_STATUSES_V1.name),
        ("gateway", COMMANDS["email"].name),
        ("orchestrator", EXECUTIONS_REQUESTED_V1.name),
        ("email-worker", COMMANDS["email"].name),
        ("email-worker", EXECUTIONS_REQUESTED_V1.name),
        ("code-runner", COMMANDS["whatsapp"].name),
    ],
)
async def test_no_service_writes_what_is_anothers(
    kafka: GuardedKafka, service: str, topic: str
) -> None:
    assert not await can_write(kafka.settings_of(service), topic)


async def test_a_worker_reads_its_commands_in_its_group(kafka: GuardedKafka) -> None:
    orchestrator = Publisher(kafka.settings_of("orchestrator"))
    topic = COMMANDS["email"].name
    consumer = make_consumer(
        kafka.settings_of("email-worker"), [topic], group="email-worker", listener=Nobody()
    )
    try:
        await orchestrator.send([Outgoing(topic, "key", b'{"a":1}', [])])
        await consumer.start()
        async with asyncio.timeout(20):
            while (await consumer.getone()).value != b'{"a":1}':
                pass
            await consumer.commit()
    finally:
        await consumer.stop()
        await orchestrator.stop()


async def test_the_gateway_sees_how_full_all_topics_are(kafka: GuardedKafka) -> None:
    groups = {topic.name: topic.reader for topic in TOPICS if topic.reader in SERVICES}
    depths = await read_depths(kafka.settings_of("gateway"), groups)  # type: ignore[arg-type] # None is not among them
    assert {depth.partitions for depth in depths} == {8}
    with pytest.raises(DepthsUnknown):
        await read_depths(kafka.settings_of("email-worker"), groups)  # type: ignore[arg-type] # as above


async def test_nobody_enters_without_a_certificate(kafka: GuardedKafka) -> None:
    with pytest.raises((KafkaConnectionError, BrokerUnavailable)):
        await TopicsPresent(kafka.stranger(), TOPICS)()


class Nobody(ConsumerRebalanceListener):
    """Does nothing when partitions come and go."""

    async def on_partitions_revoked(self, revoked: object) -> None: ...

    async def on_partitions_assigned(self, assigned: object) -> None: ...
