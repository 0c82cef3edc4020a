"""Where answers lead: the links of the OpenAPI document, from one table. No other module asks."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

Ids: TypeAlias = Mapping[str, str]
"""Path parameters that an answer tells, and where in it they stand (OpenAPI's expressions)."""

_OWN: Final[Mapping[str, str]] = {
    name: f"$response.body#/{name}"
    for name in (
        "workflowId", "version", "runId", "executionId", "jobId", "letterId", "keyId",
        "webhookId", "deliveryId", "credentialId", "leadId", "suppressionId",
        "channel",
    )
}  # fmt: skip


def _tells(*names: str, **others: str) -> Ids:
    """These members of the answer itself, and others by their expressions."""
    return {**{name: _OWN[name] for name in names}, **others}


def _first(name: str) -> Ids:
    """The first item of a page."""
    return {name: f"$response.body#/items/0/{name}"}


_OF_WEBHOOK: Final = "$request.path.webhookId"
TELLS: Final[Mapping[str, Ids]] = {
    "saveWorkflow": _tells("workflowId", "version"),
    "createWorkflow": _tells("workflowId", "version"),
    "listWorkflows": _first("workflowId"),
    "saveLead": _tells("leadId"),
    "listLeads": _first("leadId"),
    "startRun": _tells("runId"),
    "readRun": _tells("workflowId", executionId="$response.body#/executions/0/executionId"),
    "listLog": {**_first("executionId"), **_first("runId")},
    "sendEmail": _tells("executionId", "runId"),
    "sendWhatsapp": _tells("executionId", "runId"),
    "processSheet": _tells("executionId", "runId"),
    "executeCode": _tells("executionId", "runId"),
    "cancelRun": _tells("runId"),
    "retryRun": _tells("runId"),
    "decideExecution": _tells("runId"),
    "importLeadsAsJob": _tells("jobId"),
    "startRunsAsJob": _tells("jobId"),
    "replayLettersAsJob": _tells("jobId"),
    "listJobs": _first("jobId"),
    "listJobRuns": {**_first("runId"), **_first("leadId")},
    "listLetters": _first("letterId"),
    "replayLetter": _tells("letterId", "runId"),
    "makeWebhook": _tells("webhookId"),
    "listWebhooks": _first("webhookId"),
    "testWebhook": _tells("deliveryId", webhookId=_OF_WEBHOOK),
    "listDeliveries": {**_first("deliveryId"), "webhookId": _OF_WEBHOOK},
    "makeKey": _tells("keyId"),
    "rotateKey": _tells("keyId"),
    "listKeys": _first("keyId"),
    "saveCredential": _tells("credentialId"),
    "listCredentials": _first("credentialId"),
    "checkCredential": _tells("executionId"),
    "saveSuppression": _tells("suppressionId", "channel"),
    "listSuppressions": {**_first("suppressionId"), **_first("channel")},
}
"""By the operation's id: what its answer tells, and so which calls may follow."""

_BODIES: Final[Mapping[tuple[str, str], Any]] = {
    ("saveLead", "startRun"): {"leadId": _OWN["leadId"]},
    ("saveLead", "startRunsAsJob"): {"leadIds": [_OWN["leadId"]]},
    ("saveLead", "sendEmail"): {"leadId": _OWN["leadId"]},
    ("saveWorkflow", "sendEmail"): {"workflowId": _OWN["workflowId"]},
}
"""Calls that follow with what the answer tells in their bodies."""


def add_links(document: dict[str, Any]) -> None:
    """Give each answer of `TELLS` a link to every call whose path its ids fill.

    Raises `LookupError` for an operation that the document does not have.
    """
    operations = {each["operationId"]: (path, each) for path, each in _operations(document)}
    for name, ids in TELLS.items():
        links = dict(_links_of(name, ids, operations))
        answers: dict[str, Any] = operations[name][1]["responses"]
        for status, answer in answers.items():
            if status.startswith("2"):
                answer["links"] = links


def _links_of(
    name: str, ids: Ids, operations: Mapping[str, tuple[str, dict[str, Any]]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for target, (path, _) in operations.items():
        needed = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        body = _BODIES.get((name, target))
        if body is None and (target == name or not needed or not needed <= ids.keys()):
            continue
        link: dict[str, Any] = {"operationId": target}
        given = {each: ids[each] for each in sorted(needed & ids.keys())}
        if given:
            link["parameters"] = given
        if body is not None:
            link["requestBody"] = body
        yield target, link


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation
