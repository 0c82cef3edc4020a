"""Customers' code as a node and through the REST calls, on the whole platform."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
    from mirsal_testing.stack import Stack

    from tests.e2e.conftest import People, Person

pytestmark = pytest.mark.e2e

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
GREET = """
def main(input):
    print("for", input["name"], "{{ not a template }}")
    return {"greeting": "أهلاً " + input["name"], "score": input["score"] * 2}
"""
SHOUT = """
async function main(input) {
  console.log(input.text);
  return { text: input.text + "!", phone: mirsal.normalisePhone("0501234567", "SA") };
}
"""
SLOW = "import time\ndef main(input):\n    time.sleep(1.5)\n    return 'whole'"
LONG = {"seconds": 5}


def code(language: str, text: str, **more: Any) -> dict[str, Any]:
    return {"language": language, "code": text, **more}


async def execute(api: RestClient, person: Person, config: dict[str, Any]) -> dict[str, Any]:
    """The execution, as the editor's "run" button gets it."""
    await api.publish("code-direct", {"name": "Code", "nodes": [node("only", config)]})
    body = {
        "leadId": person.id,
        "workflowId": "code-direct",
        "nodeId": "direct",
        "config": config,
    }
    return await api.call("POST", "/code/execute?wait=20s", json=body)


def node(node_id: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "code", "config": config, **more}


async def test_one_code_feeds_the_next_and_a_message(
    api: RestClient, whatsapp: WhatsAppSimulatorClient, people: People
) -> None:
    person = await people.make()
    given = {"name": "{{lead.name}}", "score": 21}
    text = "{{nodes.greet.output.result.greeting}}"
    said = "{{nodes.shout.output.result.text}} {{nodes.greet.output.result.score}}"
    definition = {
        "name": "Code",
        "nodes": [
            node("greet", code("python", GREET, input={**given, "score": 21})),
            node("shout", code("javascript", SHOUT, input={"text": text})),
            {"id": "chat", "type": "whatsapp", "config": {"text": said}},
        ],
        "connections": [{"from": "greet", "to": "shout"}, {"from": "shout", "to": "chat"}],
    }
    await api.publish("code", definition)
    run = await api.wait_for_run(await api.start_run("code", person.id))
    assert run["status"] == "succeeded", run
    greet, shout, _ = run["executions"]
    assert greet["output"]["result"] == {"greeting": "أهلاً أحمد محمد", "score": 42}
    assert greet["output"]["logs"] == "for أحمد محمد {{ not a template }}\n"
    assert shout["output"]["result"]["phone"] == "+966501234567"
    (message,) = await whatsapp.messages(to=person.wa_id)
    assert message.text == "أهلاً أحمد محمد! 42"


async def test_the_result_comes_at_once(api: RestClient, people: People) -> None:
    person = await people.make()
    execution = await execute(
        api, person, code("python", GREET, input={"name": "{{lead.name}}", "score": 2})
    )
    assert execution["status"] == "succeeded"
    assert execution["output"]["outcome"] == "ok"
    assert execution["output"]["result"]["score"] == 4


async def test_a_fault_of_the_code_names_its_place_and_is_not_tried_again(
    api: RestClient, people: People
) -> None:
    person = await people.make()
    faulty = "def main(input):\n    print('so far')\n    return input['nobody']\n"
    execution = await execute(api, person, code("python", faulty))
    error = execution["error"]
    assert (execution["status"], execution["retryCount"]) == ("failed", 0)
    assert (error["code"], error["outcome"]) == ("code_user_error", "user_error")
    assert (error["details"]["type"], error["details"]["line"]) == ("KeyError", 3)
    assert error["details"]["logs"] == "so far\n"
    endless = await execute(api, person, code("javascript", "function main() { while (1); }"))
    assert (endless["status"], endless["error"]["outcome"]) == ("failed", "timeout")


async def test_mistakes_are_found_without_running(api: RestClient) -> None:
    await api.publish("code-check", {"name": "Check", "nodes": [node("only", code("python", "1"))]})
    for language, right, wrong, place in (
        ("python", GREET, "def main(input):\n    return (1", (2, 12)),
        ("javascript", SHOUT, "function main(i) {\n  let x = ;\n}", (2, 11)),
    ):
        body = {"workflowId": "code-check", "language": language}
        found = await api.call("POST", "/code/check", json={**body, "code": right})
        assert found == {"valid": True, "mistakes": []}
        found = await api.call("POST", "/code/check", json={**body, "code": wrong})
        (mistake,) = found["mistakes"]
        assert (mistake["type"], mistake["line"], mistake["column"]) == ("SyntaxError", *place)


async def test_what_the_document_suggests_is_answered_as_it_says(
    stack: Stack, api: RestClient, tmp_path: Path
) -> None:
    """A short run of schemathesis on the two calls, a code runner behind them."""
    await api.publish("welcome", {"name": "W", "nodes": [node("only", code("python", "1"))]})
    await api.call("PUT", "/lead/ahmed", json={"name": "أحمد"})
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).parent / "schemathesis"), "run", str(DOCUMENT)),
        *("--url", stack.url, "--header", f"x-api-key: {stack.api_key}"),
        *("--include-path-regex", "/code/", "--phases", "examples,coverage,fuzzing"),
        *("--checks", "not_a_server_error,status_code_conformance,response_schema_conformance"),
        *("--max-examples", "10", "--seed", "7", "--max-time", "20", "--no-color"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    report, _ = await process.communicate()
    assert process.returncode == 0, report.decode()[-4000:]
    assert b"2 selected" in report


async def test_a_killed_box_and_a_killed_service_cost_a_retry_at_most(
    stack: Stack, api: RestClient, people: People
) -> None:
    person = await people.make()
    quick = {"attempts": 4, "backoffSeconds": 0.2, "maxBackoffSeconds": 0.5}
    slow = node("slow", code("python", SLOW, limits=LONG), retry=quick)
    await api.publish("code-slow", {"name": "Slow", "nodes": [slow]})
    (service,) = stack.pids("code-runner").values()
    run_id = await api.start_run("code-slow", person.id)
    await asyncio.sleep(0.7)
    boxes = psutil.Process(service).children()
    assert boxes
    for box in boxes:
        box.kill()
    run = await api.wait_for_run(run_id)
    assert run["status"] == "succeeded", run
    assert run["executions"][0]["output"]["result"] == "whole"
    assert stack.pids("code-runner") == {1: service}

    once = node("slow", code("python", SLOW, limits=LONG), retry={"attempts": 1})
    await api.publish("code-once", {"name": "Once", "nodes": [once]})
    run_id = await api.start_run("code-once", person.id)
    await asyncio.sleep(0.7)
    for box in psutil.Process(service).children():
        box.kill()
    run = await api.wait_for_run(run_id)
    assert run["status"] == "failed"
    assert run["executions"][0]["error"]["code"] == "box_died"

    run_id = await api.start_run("code-slow", person.id)
    await asyncio.sleep(0.7)
    boxes = psutil.Process(service).children()
    stack.kill("code-runner")
    gone, alive = psutil.wait_procs(boxes, timeout=5)
    assert gone
    assert not alive
    await stack.wait_ready()
    run = await api.wait_for_run(run_id)
    assert run["status"] == "succeeded", run
