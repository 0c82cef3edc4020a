"""Writes `docs/asyncapi.json`: every topic with its messages, from the contracts, by FastStream.

`python shared/runtime/asyncapi.py` writes; with `--check` it only says whether the file is out of
date, and exits with 1 then. CI checks.
"""

import json
import sys
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import yaml
from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI
from mirsal_contracts.commands import RunNode
from mirsal_contracts.controls import (
    CancelRun,
    ForgetRun,
    ReplayLetter,
    ResolveExecution,
    RetryRun,
)
from mirsal_contracts.message import HEADER_NAMES, Message
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded, NodeUnconfirmed
from mirsal_contracts.timers import TimerFired

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "asyncapi.json"
VERSION = "1"
DESCRIPTION = (
    "What Mirsal's services say to each other over Kafka. Values are camelCase JSON; the "
    "attributes of CloudEvents and the trace context travel as headers (binary mode). Delivery "
    "is at least once, in order within a key. To write a connector, receive its commands and "
    "send statuses."
)
MESSAGES: dict[str, type[Message]] = {
    message.__name__: message
    for message in (
        RunRequested,
        CancelRun,
        RetryRun,
        ResolveExecution,
        ReplayLetter,
        ForgetRun,
        RunNode,
        NodeSucceeded,
        NodeFailed,
        NodeUnconfirmed,
        TimerFired,
    )
}


def read_topics() -> list[dict[str, Any]]:
    """The topics' descriptions, by name."""
    paths = sorted((ROOT / "shared" / "contracts" / "topics").glob("*.yaml"))
    return [yaml.safe_load(path.read_text("utf-8")) for path in paths]


def describe(topics: list[dict[str, Any]]) -> dict[str, Any]:
    """The AsyncAPI document of the topics."""
    broker = KafkaBroker()
    for topic in topics:
        broker.publisher(
            topic["name"],
            title=topic["name"],
            description=topic["description"],
            schema=payload_of(topic),
        )
    specification = AsyncAPI(
        broker,
        title="Mirsal",
        version=VERSION,
        description=DESCRIPTION,
        schema_version="3.0.0",
    )
    document: dict[str, Any] = json.loads(specification.to_specification().to_json())
    del document["servers"]
    for topic in topics:
        complete_channel(document["channels"][topic["name"]], topic)
    for message in document["components"]["messages"].values():
        complete_message(message)
    document["components"]["schemas"]["Headers"] = headers_schema()
    return document


def payload_of(topic: dict[str, Any]) -> Any:
    """The type of a topic's values; what nobody could read is bytes."""
    models = [MESSAGES[name] for name in topic["messages"]]
    return reduce(or_, models) if models else bytes


def complete_channel(channel: dict[str, Any], topic: dict[str, Any]) -> None:
    """What FastStream does not know of a topic: its key, its size, who sends and who receives."""
    del channel["servers"]
    channel["bindings"]["kafka"] |= {
        "partitions": topic["partitions"],
        "replicas": topic["replication"],
        "topicConfiguration": {
            "retention.ms": topic["retention_hours"] * 3_600_000,
            "max.message.bytes": topic["max_message_bytes"],
        },
    }
    channel["x-key"] = topic["key"]
    channel["x-producers"] = topic["producers"]
    channel["x-consumers"] = topic["consumers"]
    if "indexer" in topic:
        channel["x-indexer"] = topic["indexer"]


def complete_message(message: dict[str, Any]) -> None:
    """Headers as CloudEvents has them, in place of FastStream's own."""
    message.pop("correlationId", None)
    message["headers"] = {"$ref": "#/components/schemas/Headers"}


def headers_schema() -> dict[str, Any]:
    """The headers of every message."""
    names = ["ce_specversion", "content-type", *HEADER_NAMES]
    return {
        "type": "object",
        "description": "CloudEvents 1.0 in binary mode, and the W3C trace context.",
        "properties": {name: {"type": "string"} for name in names},
        "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject"],
    }


def main() -> int:
    """Write the file, or with `--check` compare it; the exit code."""
    text = json.dumps(describe(read_topics()), indent=2, sort_keys=True) + "\n"
    # AsyncAPI allows no colon in the names of components; FastStream writes some.
    text = text.replace(":Message", ".Message").replace(":Payload", ".Payload")
    current = TARGET.read_text("utf-8") if TARGET.exists() else ""
    if "--check" in sys.argv:
        if current != text:
            sys.stderr.write(f"out of date: docs/asyncapi.json; run {Path(__file__).name}\n")
        return int(current != text)
    if current != text:
        TARGET.write_text(text, "utf-8")
        sys.stdout.write("wrote docs/asyncapi.json\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
