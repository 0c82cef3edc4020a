"""The storm's verdict finds what was lost, doubled or made up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mirsal_contracts.ids import execution_id_of
from mirsal_testing.storm.records import Findings
from mirsal_testing.storm.strikes import Strike
from mirsal_testing.storm.verdict import IN_FLIGHT, judge

RUN = "019aab00-0000-7000-8000-000000000001"
NODES = ("mail", "chat")
CONNECTORS = {"mail": "email", "chat": "whatsapp"}
KILLED = datetime(2026, 11, 22, 12, tzinfo=UTC)
STRIKES = [Strike("whatsapp-worker", KILLED.timestamp(), KILLED.timestamp() + 1, 1)]


def row(node: str, status: str, run_id: str = RUN, after: float = -1) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "execution_id": execution_id_of(run_id, node),
        "node_id": node,
        "connector_type": CONNECTORS[node],
        "status": status,
        "created_at": KILLED + timedelta(seconds=after),
    }


def find(run: str | None, mail: str, chat: str, mails: int, chats: int) -> Findings:
    return Findings(
        runs={} if run is None else {RUN: run},
        executions=[row("mail", mail), row("chat", chat)],
        messages={execution_id_of(RUN, "mail"): mails, execution_id_of(RUN, "chat"): chats},
        traces={},
        calls={},
    )


@pytest.mark.parametrize("chats", [0, 1])
def test_a_run_whose_last_message_is_unconfirmed_is_good(chats: int) -> None:
    found = find("unconfirmed", "succeeded", "unconfirmed", 1, chats)
    assert judge([RUN], found, NODES, STRIKES) == []


def test_a_run_that_sent_each_message_once_is_good() -> None:
    found = find("succeeded", "succeeded", "succeeded", 1, 1)
    assert judge([RUN], found, NODES, STRIKES) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (find(None, "succeeded", "succeeded", 1, 1), "is lost"),
        (find("running", "succeeded", "queued", 1, 0), "is running"),
        (find("failed", "succeeded", "failed", 1, 0), "is failed"),
        (find("succeeded", "succeeded", "succeeded", 1, 2), "sent chat 2 times"),
        (find("succeeded", "succeeded", "succeeded", 0, 1), "but nothing arrived"),
        (find("succeeded", "succeeded", "queued", 1, 0), "but its chat is queued"),
        (find("unconfirmed", "succeeded", "unconfirmed", 1, 2), "sent chat 2 times"),
    ],
)
def test_every_other_end_is_a_fault_with_its_log(found: Findings, words: str) -> None:
    faults = judge([RUN], found, NODES, STRIKES)
    assert words in faults[0]
    assert "connector_type=email" in faults[0]


def test_a_run_that_nobody_asked_for_is_a_fault() -> None:
    found = find("succeeded", "succeeded", "succeeded", 1, 1)
    assert "was never accepted" in judge([], found, NODES, STRIKES)[0]


@pytest.mark.parametrize(
    ("count", "after", "strikes", "words"),
    [
        (1, -1, [], "are unconfirmed after 0 kills"),
        (IN_FLIGHT + 1, -1, STRIKES, "are unconfirmed after 1 kills"),
        (1, 5, STRIKES, "asked for after the last kill"),
    ],
)
def test_only_what_a_killed_worker_was_sending_may_be_unconfirmed(
    count: int, after: float, strikes: list[Strike], words: str
) -> None:
    ids = [f"019aab00-0000-7000-8000-{number:012d}" for number in range(count)]
    found = Findings(
        runs=dict.fromkeys(ids, "unconfirmed"),
        executions=[
            each
            for run_id in ids
            for each in (
                row("mail", "succeeded", run_id),
                row("chat", "unconfirmed", run_id, after),
            )
        ],
        messages={execution_id_of(run_id, "mail"): 1 for run_id in ids},
        traces={},
        calls={},
    )
    assert words in judge(ids, found, NODES, strikes)[0]
