"""The calls without a key: what they say, and that asking often costs nothing."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from gateway.health.flow import Flow
from gateway.health.metrics_text import collect_metrics
from gateway.health.store import Total
from gateway.recent import Recent
from mirsal_contracts.topics import NODE_COMMANDS_EMAIL_V1, NODE_COMMANDS_GOOGLE_SHEETS_V1
from mirsal_runtime.depths import Depth
from mirsal_runtime.label_bounds import OTHER, LabelBound
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.gateway.tests.conftest import Gateway, MakeSettings, open_gateway


async def test_nothing_here_needs_a_key(gateway: Gateway) -> None:
    del gateway.client.headers["x-api-key"]
    for path in ("/api/health", "/api/automation/health", "/api/automation/metrics"):
        assert (await gateway.client.get(path)).status_code == 200
    assert (await gateway.client.get("/api/automation/queue/status")).status_code == 200
    assert (await gateway.client.get("/api/health")).json() == {"status": "alive"}


async def test_readiness_names_each_dependency(gateway: Gateway) -> None:
    body = (await gateway.client.get("/api/automation/health")).json()
    assert body["status"] == "ready"
    assert set(body["dependencies"]) == {"postgres", "kafka", "redis"}
    assert {each["status"] for each in body["dependencies"].values()} == {"up"}


async def test_a_missing_topic_is_said(make_settings: MakeSettings) -> None:
    async with open_gateway(make_settings(topic_prefix="nobody-made-these.")) as gateway:
        answer = await gateway.client.get("/api/automation/health")
        assert answer.status_code == 503
        kafka = answer.json()["dependencies"]["kafka"]
        assert kafka["status"] == "down"
        assert "missing or too few partitions" in kafka["reason"]


async def test_the_queue_shows_what_waits(gateway: Gateway) -> None:
    """Three records of a topic, one of them committed by its group."""
    prefix, servers = gateway.settings.topic_prefix, gateway.settings.kafka_bootstrap_servers
    place = TopicPartition(prefix + NODE_COMMANDS_EMAIL_V1.name, 0)
    before = (await gateway.client.get("/api/automation/queue/status")).json()
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    for _ in range(3):
        await producer.send_and_wait(place.topic, b"x", partition=0)
    await producer.stop()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers, group_id=prefix + "email-worker", enable_auto_commit=False
    )
    await consumer.start()
    consumer.assign([place])
    await consumer.commit({place: 1})
    await consumer.stop()
    async with open_gateway(gateway.settings) as other:
        after = (await other.client.get("/api/automation/queue/status")).json()
        text = (await other.client.get("/api/automation/metrics")).text
    (topic,) = [each for each in after["topics"] if each["topic"] == NODE_COMMANDS_EMAIL_V1.name]
    connector = next(each for each in after["connectors"] if each["connector"] == "email")
    filling = {name: topic[name] for name in connector.keys() - {"connector"}}
    assert connector == {"connector": "email", **filling}
    assert 0 <= topic.pop("oldestSeconds") < 60
    rates = [topic.pop(name) for name in ("inPerSecond", "outPerSecond", "secondsToDrain")]
    assert rates == [None, None, None], "the first to ask has nothing to compare with"
    assert topic == {
        "topic": NODE_COMMANDS_EMAIL_V1.name,
        "group": "email-worker",
        "partitions": 8,
        "depth": 3,
        "lag": 2,
    }
    groups = {each["topic"]: each["group"] for each in after["topics"]}
    assert groups[NODE_COMMANDS_GOOGLE_SHEETS_V1.name] == "sheets-worker"
    assert after["queueSize"] == before["queueSize"] + 2
    assert f"automation_queue_size {float(after['queueSize'])}" in text


def test_rates_are_of_the_last_minute() -> None:
    at = 100.0
    flow = Flow(lambda: at)

    def note(written: int, done: int) -> tuple[float | None, ...]:
        depth = Depth("t", "g", 1, depth=0, lag=written - done, written=written, done=done)
        return tuple(flow.note([depth])["t"])

    assert note(0, 0) == (None, None, 0.0)
    at = 110.0
    assert note(100, 50) == (10.0, 5.0, None), "it grows"
    at = 120.0
    assert note(100, 80) == (5.0, 4.0, None), "all of the last 20 seconds"
    at = 175.0
    assert note(100, 90) == (0.0, 40 / 65, 10 / (40 / 65)), "of what is a minute old the youngest"
    at = 1000.0
    assert note(100, 100) == (0.0, 10 / 825, 0.0), "nothing waits"
    at = 1010.0
    assert note(3, 1) == (0.0, 0.0, None), "a topic that was made anew"


async def test_metrics_hold_what_the_orchestrator_counted(gateway: Gateway) -> None:
    rows = [("succeeded", 0.05, 3, 0.1), ("succeeded", 10.0, 1, 7.5), ("skipped", 0.0, 2, 0.0)]
    for instance in ("one", "two"):
        for status, bucket, executions, seconds in rows:
            await gateway.sql.execute(
                "INSERT INTO orchestrator.execution_totals VALUES "
                "($1, $2, $2, 'email', $3, $4, $5, $6)",
                instance, gateway.workspace, status, bucket, executions, seconds,
            )  # fmt: skip
    answer = await gateway.client.get("/api/automation/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.labels.get("workflow_id") == gateway.workspace
    }
    labels = (("connector_type", "email"), ("workflow_id", gateway.workspace))
    counted = {
        dict(key[1])["status"]: value
        for key, value in samples.items()
        if key[0] == "automation_executions_total"
    }
    assert counted == {"succeeded": 8, "skipped": 4}
    assert samples["automation_execution_duration_seconds_count", labels] == 8
    assert samples["automation_execution_duration_seconds_sum", labels] == pytest.approx(15.2)
    buckets = {
        dict(key[1])["le"]: value
        for key, value in samples.items()
        if key[0] == "automation_execution_duration_seconds_bucket"
    }
    assert (buckets["0.025"], buckets["0.05"], buckets["5.0"]) == (0, 6, 6)
    assert (buckets["10.0"], buckets["+Inf"]) == (8, 8)


def test_workspaces_that_share_a_name_are_counted_together() -> None:
    totals = [
        Total("w", "email", "failed", 1.0, 2, 1.5),
        Total("w", "email", "failed", 5.0, 1, 3.0),
    ]
    registry = collect_metrics(totals, None, None, LabelBound(5))
    text = generate_latest(registry).decode()
    assert (
        'automation_executions_total{connector_type="email",status="failed",workflow_id="w"} 3.0'
        in text
    )
    assert "automation_queue_size" not in text


def test_workflows_beyond_the_bound_share_a_series_that_never_falls() -> None:
    bound = LabelBound(1)
    few = [
        Total("much", "email", "failed", 1.0, 5, 1.0),
        Total("less", "email", "failed", 1.0, 1, 1.0),
    ]
    more = [few[0], few[1]._replace(executions=9), few[1]._replace(workflow_id="new")]
    for totals, others in ((few, 1), (more, 10)):
        registry = collect_metrics(totals, None, {"email": others}, bound)
        name, labels = (
            "automation_executions_total",
            {"connector_type": "email", "status": "failed"},
        )
        assert registry.get_sample_value(name, {**labels, "workflow_id": "much"}) == 5
        assert registry.get_sample_value(name, {**labels, "workflow_id": OTHER}) == others
        assert (
            registry.get_sample_value("mirsal_dead_letters_waiting", {"connector_type": "email"})
            == others
        )
        timed = {"connector_type": "email", "workflow_id": OTHER, "le": "1.0"}
        bucket = "automation_execution_duration_seconds_bucket"
        assert registry.get_sample_value(bucket, timed) == others


async def test_metrics_come_as_openmetrics_where_asked_for(gateway: Gateway) -> None:
    path = "/api/automation/metrics"
    plain = await gateway.client.get(path)
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    modern = await gateway.client.get(path, headers=accept)
    assert modern.headers["content-type"].startswith("application/openmetrics-text")
    assert modern.text.endswith("# EOF\n")


async def test_many_ask_and_one_looks() -> None:
    looks = 0

    async def look() -> int:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0.01)
        if looks == 2:
            raise ValueError("for once")
        return looks

    recent = Recent(look, seconds=0.2)
    assert await asyncio.gather(*(recent.get() for _ in range(50))) == [1] * 50
    await asyncio.sleep(0.25)
    answers = await asyncio.gather(*(recent.get() for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError] * 5
    assert await recent.get() == 3
    slow = Recent(look, seconds=0.0, rest=100)
    assert await slow.get() == 4
    await asyncio.sleep(0.05)
    assert await slow.get() == 4, "it rests 100 times the 10 ms that it took"
