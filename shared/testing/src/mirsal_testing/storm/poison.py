"""What a worker cannot read, sent beside what it can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirsal_contracts.commands import RunNode
from mirsal_contracts.ids import command_id_of, execution_id_of
from mirsal_contracts.message import Envelope
from mirsal_contracts.topics import NODE_COMMANDS_WHATSAPP_V1
from mirsal_runtime.broker import Outgoing, Publisher
from mirsal_runtime.settings import RuntimeSettings

if TYPE_CHECKING:
    from mirsal_testing.stack import Stack

NODE: Final = "chat"


def poison_of(run_id: str, workflow_id: str, workspace: str, traceparent: str = "") -> Outgoing:
    """What a worker cannot read, under the name of the run's own first command to it."""
    execution_id = execution_id_of(run_id, NODE)
    command_id = command_id_of(execution_id, 1)
    headers = Envelope(
        command_id, RunNode.TYPE, "storm", run_id, workspace, traceparent=traceparent,
        execution_id=execution_id, command_id=command_id, workflow_id=workflow_id, node_id=NODE,
        connector="whatsapp",
    ).to_headers()  # fmt: skip
    return Outgoing(NODE_COMMANDS_WHATSAPP_V1.name, run_id, b"{broken", headers)


async def send_poison(stack: Stack, *poison: Outgoing) -> None:
    """Send it to the stack's workers."""
    settings = RuntimeSettings(
        kafka_bootstrap_servers=stack.environment["KAFKA_BOOTSTRAP_SERVERS"], instance="poison"
    )
    publisher = Publisher(settings)
    try:
        await publisher.send(poison)
    finally:
        await publisher.stop()
