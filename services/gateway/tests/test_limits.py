"""Each limit of a call: what is just within is taken, one more is refused where it stands."""

from typing import Any, Final, NamedTuple

import orjson
import pytest
from gateway.bodies import BODY_BYTES, JSON_DEPTH, MOST_MEMBERS
from gateway.leads.bulk import LINE_BYTES
from gateway.leads.endpoints import IMPORT_BYTES
from gateway.paging import CURSOR_CHARACTERS, MOST_ITEMS
from gateway.runs.schemas import INPUT_BYTES, MOST_LEADS
from gateway.workflows.schemas import MOST_CONNECTIONS, MOST_NODES, MOST_TRIGGERS
from mirsal_contracts.nodes.code import MOST_CODE

from services.gateway.tests.conftest import Gateway

API: Final = "/api/automation"
LEAD: Final = f"{API}/lead/ahmed"
WORKFLOW: Final = f"{API}/workflow/w"
RUN: Final = f"{API}/workflow/welcome/run"
NOOP: Final = {"type": "noop", "config": {}}
CRON: Final = {"type": "schedule", "cron": "0 9 * * *"}
WITHIN: Final = {200, 201, 202}


def workflow(count: int, connections: int = 0, triggers: int = 0, **node: Any) -> dict[str, Any]:
    """A workflow of so many nodes; its connections go from the first ones to the last ones."""
    arrows = [
        {"from": f"n{one}", "to": f"n{count - 1 - other}"}
        for one in range(50)
        for other in range(50)
        if one < count - 1 - other
    ]
    return {
        "name": "Large",
        "nodes": [{"id": f"n{number}", **NOOP, **node} for number in range(count)],
        "connections": arrows[:connections],
        "triggers": [CRON] * triggers,
    }


def deep(levels: int) -> dict[str, Any]:
    """A lead that nests so deep."""
    value: Any = {}
    for _ in range(levels - 2):
        value = {"a": value}
    return {"fields": value}


def code(size: int) -> dict[str, Any]:
    """A direct call of code."""
    config = {"language": "python", "code": "#" * size}
    return {"leadId": "ahmed", "workflowId": "welcome", "nodeId": "n", "config": config}


def padded(size: int) -> bytes:
    """A body of exactly so many bytes."""
    return orjson.dumps({"name": "x"}).ljust(size)


class Limit(NamedTuple):
    """Two calls, of which the first is within and the second beyond."""

    method: str
    path: str
    within: Any
    beyond: Any
    status: int = 422
    pointer: str = ""


LIMITS: Final = {
    "body": Limit("PUT", LEAD, padded(BODY_BYTES), padded(BODY_BYTES + 1), 413),
    "depth": Limit("PUT", LEAD, deep(JSON_DEPTH), deep(JSON_DEPTH + 1)),
    "members": Limit("PUT", LEAD, {}, {f"x{n}": 1 for n in range(MOST_MEMBERS + 1)}),
    "nodes": Limit("PUT", WORKFLOW, workflow(MOST_NODES), workflow(MOST_NODES + 1), 422, "/nodes"),
    "connections": Limit(
        "PUT", WORKFLOW, workflow(200, MOST_CONNECTIONS), workflow(200, MOST_CONNECTIONS + 1),
        422, "/connections",
    ),
    "triggers": Limit(
        "PUT", WORKFLOW, workflow(1, 0, MOST_TRIGGERS), workflow(1, 0, MOST_TRIGGERS + 1),
        422, "/triggers",
    ),
    "run time of a node": Limit(
        "PUT", WORKFLOW, workflow(1, timeoutSeconds=600), workflow(1, timeoutSeconds=601),
        422, "/nodes/0/timeoutSeconds",
    ),
    "attempts": Limit(
        "PUT", WORKFLOW, workflow(1, retry={"attempts": 20}), workflow(1, retry={"attempts": 21}),
        422, "/nodes/0/retry/attempts",
    ),
    "node id": Limit("PUT", WORKFLOW, workflow(1, id="n" * 64), workflow(1, id="n" * 65), 422,
                     "/nodes/0/id"),
    "template": Limit(
        "PUT", WORKFLOW,
        workflow(1, config={"value": "{{lead.name}}" + "a" * 262_131}),
        workflow(1, config={"value": "{{lead.name}}" + "a" * 262_132}),
        422, "/nodes/0/config/value",
    ),
    "leads": Limit(
        "POST", RUN, {"leadIds": ["ahmed"]},
        {"leadIds": [f"l{n}" for n in range(MOST_LEADS + 1)]}, 422, "/leadIds",
    ),
    "input": Limit(
        "POST", RUN, {"leadId": "ahmed", "input": {"x": "y" * (INPUT_BYTES - 8)}},
        {"leadId": "ahmed", "input": {"x": "y" * (INPUT_BYTES - 7)}}, 413,
    ),
    "code": Limit("POST", f"{API}/code/execute", code(MOST_CODE), code(MOST_CODE + 1), 422,
                  "/config/code"),
    "name": Limit("PUT", LEAD, {"name": "أ" * 500}, {"name": "أ" * 501}, 422, "/name"),
    "tags": Limit("PUT", LEAD, {"tags": ["t"] * 100}, {"tags": ["t"] * 101}, 422, "/tags"),
    "fields": Limit(
        "PUT", LEAD, {"fields": {f"f{n}": n for n in range(500)}},
        {"fields": {f"f{n}": n for n in range(501)}}, 422, "/fields",
    ),
    "page": Limit("GET", f"{API}/leads?limit={MOST_ITEMS}", None, None),
    "line": Limit("POST", f"{API}/leads", b'{"leadId": "a"}'.ljust(LINE_BYTES),
                  b'{"leadId": "a"}'.ljust(LINE_BYTES + 1)),
}  # fmt: skip


async def ask(gateway: Gateway, limit: Limit, body: Any, path: str = "") -> tuple[int, Any]:
    """Status and body of one call."""
    headers = {"content-type": "application/x-ndjson"} if path.endswith("/leads") else {}
    given: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
    if body is None:
        given = {}
    answer = await gateway.client.request(
        limit.method, path or limit.path, headers=headers, **given
    )
    return answer.status_code, answer.json()


@pytest.mark.parametrize("name", LIMITS)
async def test_a_limit_is_where_it_is_said_to_be(gateway: Gateway, name: str) -> None:
    limit = LIMITS[name]
    await gateway.put_welcome()
    path = limit.path
    status, answer = await ask(gateway, limit, limit.within, path)
    assert status in WITHIN, answer
    if name == "page":
        path = path.replace(str(MOST_ITEMS), str(MOST_ITEMS + 1))
    status, answer = await ask(gateway, limit, limit.beyond, path)
    assert status == limit.status, answer
    assert answer["status"] == status
    if limit.pointer:
        assert limit.pointer in [each["pointer"] for each in answer["errors"]], answer


async def test_pages_and_cursors_of_every_list_are_bounded(gateway: Gateway) -> None:
    await gateway.put_welcome()
    for path in ("leads", "workflows", "workflow/welcome/versions", "workflow/welcome/logs"):
        for query in (
            f"limit={MOST_ITEMS + 1}", "limit=0", "limit=-1", "limit=x", "limit=1e3",
            f"cursor={'A' * (CURSOR_CHARACTERS + 1)}", "cursor=",
        ):  # fmt: skip
            answer = await gateway.client.get(f"{API}/{path}?{query}")
            assert answer.status_code == 422, f"{path}?{query}: {answer.text}"
        answer = await gateway.client.get(f"{API}/{path}?limit={MOST_ITEMS}")
        assert answer.status_code == 200


async def test_an_import_has_a_size_that_is_counted_before_it_is_read(gateway: Gateway) -> None:
    line = b" " * (LINE_BYTES - 1) + b"\n"

    async def endless() -> Any:
        sent = 0
        while True:
            yield line
            sent += len(line)
            assert sent < IMPORT_BYTES + 4 * LINE_BYTES, "it is read on and on"

    answer = await gateway.client.post(
        f"{API}/leads", content=endless(), headers={"content-type": "application/x-ndjson"}
    )
    assert answer.status_code == 413
