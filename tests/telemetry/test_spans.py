"""docs/TELEMETRY.md's tables of spans and edges are what the platform really sends."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import pytest
from mirsal_testing.rest import RestClient
from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
from mirsal_testing.traces import faults_of_parents, faults_of_trace

from tests.telemetry.conftest import BAGGAGE, EMAIL, NOT_SAMPLED, PHONE
from tests.telemetry.test_metric_table import PAGE

if TYPE_CHECKING:
    from mirsal_testing.otlp import Seen

    from tests.telemetry.conftest import Observed

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

METHOD = "(?:GET|PUT|POST|DELETE)"
HOLES = {
    "{method}": METHOD,
    "{route}": "/.*",
    "{topic}": r"[a-z_-]+(?:\.[a-z_]+)*\.v1",
    "{kind}": "(?:leads_import|runs_start|letters_replay)",
    "{connector}": "[a-z_]+",
}
ALL = {
    "messaging.*": (
        "messaging.system",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.destination.name",
    ),
    "mirsal.*": ("mirsal.workspace", "mirsal.run_id", "mirsal.workflow_id", "mirsal.lead"),
}


class Row(NamedTuple):
    """One row of the table."""

    name: str
    kind: str
    pattern: re.Pattern[str]
    needed: frozenset[str]
    possible: frozenset[str]


def _rows() -> list[Row]:
    page = PAGE.read_text("utf-8")
    table = page.partition("### Spans")[2].partition("### Edges")[0]
    rows = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0].startswith("`"):
            name = cells[0].strip("`")
            pattern = re.escape(name)
            for hole, regex in HOLES.items():
                pattern = pattern.replace(re.escape(hole), regex)
            needed, possible = set(), {"error.type"}
            for word in filter(None, (each.strip() for each in cells[5].split(","))):
                names = ALL.get(word, (word.strip("()"),))
                possible |= set(names)
                if not word.startswith("("):
                    needed |= set(names)
            if name == "receive":
                needed.discard("messaging.destination.name")
            rows.append(
                Row(name, cells[1], re.compile(pattern), frozenset(needed), frozenset(possible))
            )
    return rows


ROWS = _rows()


def _row_of(span: Seen) -> Row | None:
    fitting = [row for row in ROWS if row.kind == span.kind and row.pattern.fullmatch(span.name)]
    return fitting[0] if len(fitting) == 1 else None


async def test_every_span_is_in_the_table_and_every_row_is_seen(observed: Observed) -> None:
    spans = observed.otlp.spans
    strange = {(span.service, span.kind, span.name) for span in spans if _row_of(span) is None}
    assert strange == set()
    faults = set()
    for span in spans:
        row = _row_of(span)
        if row is not None and span.error != "process_killed":
            lacking, unknown = (
                row.needed - span.attributes.keys(),
                (span.attributes.keys() - row.possible),
            )
            if lacking or unknown:
                faults.add((span.name, tuple(sorted(lacking)), tuple(sorted(unknown))))
    assert faults == set()
    seen = {row.name for span in spans if (row := _row_of(span)) is not None}
    assert {row.name for row in ROWS} - seen == set()


async def test_every_edge_is_in_the_table_and_every_row_is_seen(observed: Observed) -> None:
    page = PAGE.read_text("utf-8").partition("### Edges")[2].partition("\n## ")[0]
    said = set(
        re.findall(r"^\| `([^`]+)` \| (is above|links to) \| `([^`]+)` \|", page, re.MULTILINE)
    )
    spans = observed.otlp.spans
    names = defaultdict(set)
    for span in spans:
        row = _row_of(span)
        if row is not None:
            names[span.trace_id, span.span_id].add(row.name)
    seen = set()
    for span in spans:
        for name in names[span.trace_id, span.span_id]:
            for parent in names.get((span.trace_id, span.parent_id), ()):
                seen.add((parent, "is above", name))
            for link in span.links:
                for other in names.get(link, ()):
                    seen.add((name, "links to", other))
    assert seen - said == set()
    assert said - seen == set()


async def test_every_run_has_one_whole_trace(observed: Observed) -> None:
    traces = observed.otlp.traces()
    for name, run in observed.runs.items():
        assert [*faults_of_trace(traces[run["traceId"]], run["runId"])] == [], name
        others = {
            span.trace_id
            for span in observed.otlp.spans
            if span.attributes.get("mirsal.run_id") == run["runId"]
        }
        assert others == {run["traceId"]}, name
    services = {span.service for span in traces[observed.runs["journey"]["traceId"]]}
    assert services == {
        "gateway",
        "orchestrator",
        "email-worker",
        "whatsapp-worker",
        "code-runner",
        "sheets-worker",
    }


async def test_a_retry_links_to_the_attempt_before_it(observed: Observed) -> None:
    for name in ("retried", "failed"):
        spans = observed.otlp.traces()[observed.runs[name]["traceId"]]
        first, second = sorted(
            (span for span in spans if span.name == "process node.commands.whatsapp.v1"),
            key=lambda span: span.start,
        )
        assert (first.attributes["mirsal.attempt"], first.error) == (1, "whatsapp_131000"), name
        assert second.attributes["mirsal.attempt"] == 2
        (asking,) = [span for span in spans if span.span_id == second.parent_id]
        assert (first.trace_id, first.span_id) in asking.links


async def test_a_job_is_in_the_trace_of_the_call_that_made_it(observed: Observed) -> None:
    spans = {(span.trace_id, span.span_id): span for span in observed.otlp.spans}
    (asked,) = [
        span
        for span in observed.otlp.traces()[observed.runs["bulk"]["traceId"]]
        if span.name == "create executions.requested.v1"
    ]
    ((step, call),) = [(spans[link], spans[link[0], spans[link].parent_id]) for link in asked.links]
    assert (step.name, step.attributes["mirsal.job_done"]) == ("job runs_start", 1)
    assert call.name == "POST /api/automation/workflow/{workflowId}/runs"
    steps = [span for span in observed.otlp.spans if span.name.startswith("job ")]
    assert {span.parent_id for span in steps if span.name == step.name} == {call.span_id}
    assert {span.name for span in steps} == {"job runs_start", "job letters_replay"}
    assert all(span.parent_id for span in steps)


async def test_a_start_that_is_made_again_links_to_the_run_that_it_began(
    observed: Observed,
) -> None:
    run = observed.others["twice"]
    assert [*faults_of_trace(observed.otlp.traces()[run["traceId"]], run["runId"])] == []
    made = {
        (span.trace_id, span.span_id)
        for span in observed.otlp.spans
        if span.name == "create executions.requested.v1"
        and span.attributes["mirsal.run_id"] == run["runId"]
    }
    assert len(made) == 2
    links = {link for span in observed.otlp.traces()[run["traceId"]] for link in span.links}
    assert {each for each in made if each[0] != run["traceId"]} <= links


async def test_a_run_that_was_not_sampled_is_told_of_from_its_failure_on(
    observed: Observed,
) -> None:
    run = observed.others["quiet"]
    assert run["traceId"] == NOT_SAMPLED[3:35]
    spans = observed.otlp.traces()[run["traceId"]]
    assert [*faults_of_parents(spans)] == []
    (root,) = {span.span_id: span for span in spans if not span.parent_id}.values()
    assert (root.name, root.service) == ("run.started", "orchestrator")
    assert root.span_id != NOT_SAMPLED[36:52], "that is the caller's own span"
    attempts = sorted(
        (span for span in spans if span.name == "process node.commands.whatsapp.v1"),
        key=lambda span: span.start,
    )
    assert [span.attributes["mirsal.attempt"] for span in attempts] == [1, 2]
    assert root.start < attempts[0].start
    assert "succeeded" in {span.attributes.get("mirsal.run_status") for span in spans}


async def test_nothing_tells_whom_it_was_about(observed: Observed) -> None:
    told = b"".join(observed.otlp.bodies)
    for canary in ("canary-lead", "Canary Name", EMAIL, PHONE.removeprefix("+"), BAGGAGE):
        assert canary.encode() not in told, canary
    leads = {
        run["leadId"]: {
            span.attributes["mirsal.lead"]
            for span in observed.otlp.traces()[run["traceId"]]
            if "mirsal.lead" in span.attributes
        }
        for run in observed.runs.values()
    }
    assert [len(names) for names in leads.values()] == [1, 1]
    assert leads["canary-lead"] != leads["other-lead"]


async def test_lines_are_those_of_the_table_and_tell_nobody_either(observed: Observed) -> None:
    known = set(re.findall(r"^\| `(\w+)` \| ", PAGE.read_text("utf-8"), re.MULTILINE))
    traces = {run["traceId"] for run in observed.runs.values()}
    lines = [
        (json.loads(line), line)
        for file in observed.stack.folder.logs.glob("*.log")
        if re.fullmatch(r"(gateway|orchestrator|code-runner|[a-z]+-worker)(-\d+)?\.log", file.name)
        for line in file.read_text("utf-8").splitlines()
    ]
    told = [line for line, _ in lines]
    assert len({line["service"] for line in told}) == 7
    assert {line["event"] for line in told if "logger" not in line} <= known
    assert {line["trace_id"] for line in told if line["event"] == "run_ended"} >= traces - {
        run["traceId"] for run in observed.runs.values() if run["status"] == "paused"
    }
    for canary in (
        "canary-lead",
        "Canary Name",
        EMAIL,
        PHONE.removeprefix("+"),
        BAGGAGE,
        "[hidden]",
    ):
        assert [text for _, text in lines if canary in text] == [], canary


async def test_providers_get_the_trace_and_no_baggage(observed: Observed) -> None:
    url = observed.stack.environment["MIRSAL_WHATSAPP_SIMULATOR_URL"]
    async with WhatsAppSimulatorClient(url) as whatsapp:
        messages = await whatsapp.messages(to=PHONE.removeprefix("+"))
    told = {message.headers["traceparent"] for message in messages}
    called = {
        f"00-{span.trace_id}-{span.span_id}-01"
        for span in observed.otlp.spans
        if span.service == "whatsapp-worker" and span.kind == "client" and span.name == "POST"
    }
    assert told
    assert told <= called
    for message in messages:
        assert not {"baggage", "tracestate"} & message.headers.keys()


async def test_answers_say_their_trace(observed: Observed) -> None:
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with RestClient(observed.stack.url, observed.stack.api_key) as api:
        for path in ("/run/unknown", "/health"):
            answer = await api.http.get(path)
            trace_id = answer.headers["trace-id"]
            assert re.fullmatch("[0-9a-f]{32}", trace_id)
            assert answer.headers["traceresponse"][3:35] == trace_id
        answer = await api.http.get("/run/unknown", headers={"traceparent": given})
    assert answer.headers["trace-id"] == given[3:35]
    assert answer.headers["traceresponse"] != given
