"""The attributes of spans: OpenTelemetry's conventions for messages and databases, and our own."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from mirsal_runtime.span_bytes import SpanValue

WORKSPACE: Final = "mirsal.workspace"
RUN: Final = "mirsal.run_id"
WORKFLOW: Final = "mirsal.workflow_id"
LEAD: Final = "mirsal.lead"
EXECUTION: Final = "mirsal.execution_id"
NODE: Final = "mirsal.node_id"
ATTEMPT: Final = "mirsal.attempt"
CONNECTOR: Final = "mirsal.connector"
OUTCOME: Final = "mirsal.outcome"
RUN_STATUS: Final = "mirsal.run_status"
BATCH: Final = "messaging.batch.message_count"

Operation: TypeAlias = Literal["create", "send", "receive", "process"]


def messaging(operation: Operation, topic: str = "") -> Mapping[str, SpanValue]:
    """What every span of Kafka's says; `topic` is the contract's name, empty for several."""
    found: dict[str, SpanValue] = {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }
    if topic:
        found["messaging.destination.name"] = topic
    return found


def database(operation: str) -> Mapping[str, SpanValue]:
    """What every span of a statement says; its text is in the code, under this name."""
    return {
        "db.system.name": "postgresql",
        "db.operation.name": operation,
        "db.query.summary": operation,
    }
