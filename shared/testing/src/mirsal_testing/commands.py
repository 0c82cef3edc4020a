"""Commands for tests, as the orchestrator would send them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from mirsal_contracts.commands import RunNode
from mirsal_contracts.ids import command_id_of, execution_id_of
from mirsal_contracts.message import Envelope, JsonObject
from mirsal_contracts.nodes import NODE_TYPES
from mirsal_contracts.topics import COMMANDS
from mirsal_runtime.broker import Outgoing
from mirsal_runtime.telemetry import new_traceparent


def make_command(
    connector: str = "noop",
    config: JsonObject | None = None,
    *,
    attempt: int = 1,
    run_id: str | None = None,
    node_id: str = "send",
    workspace: str = "tests",
    timeout_seconds: float = 15.0,
    deadline_seconds: float = 600.0,
    **others: Any,
) -> RunNode:
    """A command for one attempt; a new run's unless `run_id` is given."""
    run_id = run_id or str(uuid4())
    execution_id = execution_id_of(run_id, node_id)
    return RunNode(
        workspace=workspace,
        run_id=run_id,
        execution_id=execution_id,
        command_id=command_id_of(execution_id, attempt),
        workflow_id="a-workflow",
        node_id=node_id,
        attempt=attempt,
        connector=connector,
        lead_id="a-lead",
        config=config or {},
        timeout_seconds=timeout_seconds,
        deadline=datetime.now(UTC) + timedelta(seconds=deadline_seconds),
        **others,
    )


def next_attempt(command: RunNode) -> RunNode:
    """The command that asks for the following attempt."""
    attempt = command.attempt + 1
    return command.model_copy(
        update={
            "attempt": attempt,
            "command_id": command_id_of(command.execution_id, attempt),
        }
    )


def command_message(command: RunNode, *, traceparent: str | None = None) -> Outgoing:
    """The command as a record of its topic."""
    envelope = Envelope(
        id=command.command_id,
        type=RunNode.TYPE,
        source="/orchestrator",
        subject=command.run_id,
        workspace=command.workspace,
        traceparent=new_traceparent() if traceparent is None else traceparent,
        execution_id=command.execution_id,
        command_id=command.command_id,
        workflow_id=command.workflow_id,
        node_id=command.node_id,
        connector=command.connector,
    )
    kind = NODE_TYPES.get(command.connector)
    key = command.run_id if kind is None else kind.command_key(command.config, command.run_id)
    return Outgoing(COMMANDS[command.connector].name, key, command.to_json(), envelope.to_headers())
