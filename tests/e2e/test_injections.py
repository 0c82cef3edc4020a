"""Header, address and HTML injections all the way: what arrives has no more than was meant."""

from __future__ import annotations

import asyncio
import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mirsal_testing.rest import RestClient
    from mirsal_testing.simulators.smtp.client import InboxClient

    from tests.e2e.conftest import People

pytestmark = pytest.mark.e2e

CORPUS = Path(__file__).parents[2] / "services/email-worker/tests/data/header_injection.json"
CASES: list[dict[str, str]] = json.loads(CORPUS.read_text("utf-8"))
VALUES = sorted({case["value"] for case in CASES if "\0" not in case["value"]})
NODE = {"id": "n", "type": "email", "config": {"subject": "s", "body": "b"}}
HEADERS = {
    "content-type", "mime-version", "content-transfer-encoding", "from", "to", "subject", "date",
    "message-id",
}  # fmt: skip


async def send(api: RestClient, lead_id: str, config: dict[str, Any]) -> str | None:
    """Mail one lead; the run's id, unless the door refuses the config."""
    body = {"leadId": lead_id, "workflowId": "inject", "nodeId": "n", "config": config}
    answer = await api.http.post("/email/send", json=body)
    assert answer.status_code in {202, 422}, answer.text
    return str(answer.json()["runId"]) if answer.status_code == 202 else None


async def test_what_is_written_adds_no_header_and_no_recipient(
    api: RestClient, inbox: InboxClient, people: People
) -> None:
    """By authors in each member of the config, and by leads as their names."""
    assert len(CASES) >= 100
    assert len(VALUES) >= 40
    await api.publish("inject", {"name": "Inject", "nodes": [NODE]})
    since = max((each["sequence"] for each in await inbox.arrivals()), default=0)
    # What a harmless value of `to` says, with something before it.
    expected = {"ahmed@example.com"}
    runs = []
    for case in CASES:
        person = await people.make(email="ahmed@example.com")
        config = {"subject": "s", "body": "b", case["field"]: case["value"]}
        runs.append(await send(api, person.id, config))
    for value in VALUES:
        person = await people.make(name=value[:500])
        expected.add(person.email)
        config = {"subject": "{{lead.name}}", "body": "b", "html": "<p>{{lead.name}}</p>"}
        runs.append(await send(api, person.id, config))
    started = [run for run in runs if run is not None]
    over = await asyncio.gather(*(api.wait_for_run(run, seconds=60) for run in started))
    assert {run["status"] for run in over} == {"succeeded", "failed"}
    mails = await inbox.messages(since=since)
    assert len(mails) == sum(run["status"] == "succeeded" for run in over) >= 20
    for each in mails:
        names = [name.lower() for name, _ in each.headers]
        assert len(names) == len(set(names)), each
        assert set(names) <= HEADERS, each
        assert len(each.envelope_to) == 1, each
        assert set(each.envelope_to) <= expected, each
    assert any(each.html for each in mails)


async def test_what_a_lead_is_called_is_no_markup(
    api: RestClient, inbox: InboxClient, people: People
) -> None:
    await api.publish("inject", {"name": "Inject", "nodes": [NODE]})
    names = [
        "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover='alert(1)",
        "</p><iframe src=//evil.example>", "&lt;b&gt;", "<a href=javascript:alert(1)>x</a>",
        "{{lead.email}}", "{% if true %}x{% endif %}",
    ]  # fmt: skip
    html = '<p title="{{lead.name}}">{{lead.name}}</p>'
    for name in names:
        person = await people.make(name=name)
        run = await send(api, person.id, {"subject": "s", "body": "{{lead.name}}", "html": html})
        assert run is not None
        assert (await api.wait_for_run(run))["status"] == "succeeded"
        (mail,) = await inbox.messages(to=person.email)
        assert mail.text.strip() == name
        shown = escape(name)
        assert f'title="{shown}"' in mail.html
        assert f">{shown}</p>" in mail.html
