"""What people want of runs, as messages for the orchestrator."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from mirsal_contracts.controls import (
    CancelRun,
    ForgetRun,
    ReplayLetter,
    ResolveExecution,
    RetryRun,
)
from mirsal_contracts.message import Envelope
from mirsal_contracts.topics import EXECUTIONS_REQUESTED_V1
from mirsal_runtime.broker import BrokerUnavailable, Outgoing
from pydantic import JsonValue

from gateway.problems import unavailable
from gateway.publishing import Intake
from gateway.runs.launch import SOURCE, Call

Wish: TypeAlias = CancelRun | RetryRun | ResolveExecution | ReplayLetter | ForgetRun
MakeWish: TypeAlias = Callable[[dict[str, Any]], Wish]


def write_wish(call: Call, run_id: str, control_id: str, make: MakeWish) -> Outgoing:
    """The message that a wish becomes; `make` is given the members that all wishes have."""
    now = datetime.now(UTC)
    message = make(
        {
            "workspace": call.caller.workspace,
            "run_id": run_id,
            "control_id": control_id,
            "requested_by": call.caller.name,
            "requested_at": now,
        }
    )
    envelope = Envelope(
        id=control_id,
        type=message.TYPE,
        source=SOURCE,
        subject=run_id,
        workspace=call.caller.workspace,
        time=now.isoformat(),
        traceparent=call.traceparent,
    )
    return Outgoing(EXECUTIONS_REQUESTED_V1.name, run_id, message.to_json(), envelope.to_headers())


async def publish_wishes(
    intake: Intake, messages: Sequence[Outgoing], *, until: float, ids: dict[str, JsonValue]
) -> None:
    """Publish them. Raises a 503 `Problem` with `ids` where Kafka does not acknowledge."""
    try:
        await intake.publish(messages, until=until)
    except BrokerUnavailable as error:
        raise unavailable(
            "Kafka did not acknowledge, so whether this counts is open. Call again with the "
            "same Idempotency-Key.",
            members=ids,
        ) from error
