"""A node's config with its values filled in, and a condition's outcome."""

from collections.abc import Mapping
from typing import Any

from mirsal_contracts.credentials import CHECK_CONNECTION
from mirsal_contracts.message import JsonObject
from mirsal_contracts.statuses import Fault
from mirsal_expressions import ExpressionError, evaluate_condition, render_value

from orchestrator.decide.plan import Step
from orchestrator.decide.state import NodeState, RunRequest
from orchestrator.decide.storable import storable_fault


class CommandRefused(Exception):
    """A node cannot be started as it stands: it fails, permanently."""

    def __init__(self, code: str, message: str, details: JsonObject | None = None) -> None:
        super().__init__(message)
        self.fault = storable_fault(Fault(code=code, message=message, details=details))


def scope_of(step: Step, request: RunRequest, nodes: Mapping[str, NodeState]) -> Mapping[str, Any]:
    """What a node's templates see.

    Of the other nodes only those before it: they are decided, so the same attempt always renders
    the same text, whatever a branch beside it does meanwhile.
    """
    return {
        "lead": request.lead,
        "run": {"id": request.run_id, "input": request.input},
        "nodes": {
            node_id: {
                "output": request.open_output(node_id, nodes[node_id].output)
                if step.reads_outputs
                else {}
            }
            for node_id in step.ancestors
        },
    }


def render_config(step: Step, request: RunRequest, nodes: Mapping[str, NodeState]) -> JsonObject:
    """The config with final values.

    Raises `CommandRefused` where a template cannot be rendered, or nobody would receive it.
    """
    try:
        scope = scope_of(step, request, nodes)
        config: Any = render_value(step.template, scope, html_paths=step.html_paths)
    except ExpressionError as error:
        raise CommandRefused("template_error", str(error), _details(error)) from None
    config = _with_lead_members({**step.verbatim, **config}, step, request)
    return _with_recipient(config, step, request)


def evaluate_outcome(step: Step, request: RunRequest, nodes: Mapping[str, NodeState]) -> str:
    """`true` or `false`. Raises `CommandRefused` where the expression has no such value."""
    try:
        value = evaluate_condition(str(step.config["if"]), scope_of(step, request, nodes))
    except ExpressionError as error:
        raise CommandRefused("condition_error", str(error), _details(error)) from None
    return "true" if value else "false"


def _with_lead_members(config: JsonObject, step: Step, request: RunRequest) -> JsonObject:
    given = {
        member: request.lead[lead_member]
        for member, lead_member in step.kind.lead_members.items()
        if config.get(member) is None and request.lead.get(lead_member) is not None
    }
    return {**config, **given} if given else config


def _with_recipient(config: JsonObject, step: Step, request: RunRequest) -> JsonObject:
    if step.kind.recipient is None or CHECK_CONNECTION in config:
        return config
    recipient = config.get("to")
    if recipient is None:
        recipient = request.lead.get(step.kind.recipient)
    if recipient is None or (isinstance(recipient, str) and not recipient.strip()):
        raise CommandRefused(
            "missing_recipient",
            f"the config has no `to`, and the lead has no {step.kind.recipient}: give one of them",
        )
    return {**config, "to": recipient}


def _details(error: ExpressionError) -> JsonObject:
    details: JsonObject = {"code": error.code}
    if error.pointer is not None:
        details["pointer"] = error.pointer
    if error.line is not None:
        details["line"], details["column"] = error.line, error.column
    return details
