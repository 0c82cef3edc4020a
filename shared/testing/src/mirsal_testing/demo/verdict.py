"""Whether every lead got exactly one e-mail, one WhatsApp message and one row, each right; pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mirsal_contracts.ids import execution_id_of

from mirsal_testing.demo.expected import expect_for, has_html, same_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mirsal_testing.demo.arrivals import Arrived, Row
    from mirsal_testing.demo.expected import Expected
    from mirsal_testing.demo.story import DemoLead, DemoWorkflow
    from mirsal_testing.simulators.smtp.client import InboxMail
    from mirsal_testing.simulators.whatsapp.client import ReceivedMessage

FINISHED = frozenset({"succeeded", "failed", "skipped", "cancelled", "unconfirmed", "waiting"})
NODES = 3


@dataclass(frozen=True)
class Verdict:
    """What became of all runs. `faults` says, lead by lead, what is not as it must be."""

    runs: int
    succeeded: int
    failed: int
    mails: int
    chats: int
    rows: int
    waits: Sequence[float]
    faults: Sequence[str]


def is_over(logs: Sequence[Mapping[str, Any]], runs: int) -> bool:
    """Whether nothing more will come: every run failed, or has all its executions finished."""
    statuses = _statuses_by_run(logs)
    return len(statuses) == runs and all(
        FINISHED.issuperset(of_run) and (len(of_run) == NODES or set(of_run) != {"succeeded"})
        for of_run in statuses.values()
    )


def judge(
    workflow: DemoWorkflow,
    runs: Mapping[str, DemoLead],
    logs: Sequence[Mapping[str, Any]],
    arrived: Arrived,
    started: float,
) -> Verdict:
    """Compare what arrived with what had to; `runs` are the leads by run id."""
    statuses = _statuses_by_run(logs)
    ended = Counter(_end_of(statuses.get(run_id, [])) for run_id in runs)
    faults: list[str] = []
    waits: list[float] = []
    mails = chats = rows = 0
    for run_id, lead in runs.items():
        expected = expect_for(lead, workflow)
        of_mail = arrived.mails.get(execution_id_of(run_id, workflow.mail), [])
        of_chat = arrived.chats.get(execution_id_of(run_id, workflow.chat), [])
        of_sheet = arrived.rows.get(execution_id_of(run_id, workflow.sheet), [])
        mails, chats = mails + len(of_mail), chats + len(of_chat)
        rows += len(of_sheet)
        waits.extend(_waits(of_mail, of_chat, started))
        found = [*_faults_of_mails(of_mail, lead, expected)]
        found += _faults_of_chats(of_chat, lead, expected)
        found += _faults_of_rows(of_sheet, expected)
        found += _faults_of_log(run_id, logs)
        faults.extend(f"{lead.id} ({lead.name}): {fault}" for fault in found)
    return Verdict(
        runs=len(runs),
        succeeded=ended["succeeded"],
        failed=ended["failed"],
        mails=mails,
        chats=chats,
        rows=rows,
        waits=sorted(waits),
        faults=faults,
    )


def _statuses_by_run(logs: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    statuses: dict[str, list[str]] = {}
    for item in logs:
        statuses.setdefault(item["runId"], []).append(item["status"])
    return statuses


def _end_of(statuses: Sequence[str]) -> str:
    if "failed" in statuses:
        return "failed"
    done = len(statuses) == NODES and set(statuses) == {"succeeded"}
    return "succeeded" if done else "open"


def _waits(
    mails: Sequence[InboxMail], chats: Sequence[ReceivedMessage], started: float
) -> Iterator[float]:
    if mails and chats:
        last = max(*(mail.arrived_at for mail in mails), *(chat.arrived_at for chat in chats))
        yield last.timestamp() - started


def _faults_of_mails(
    mails: Sequence[InboxMail], lead: DemoLead, expected: Expected
) -> Iterator[str]:
    if len(mails) != 1:
        yield f"{len(mails)} e-mails arrived instead of one"
    for mail in mails:
        if mail.envelope_to != (lead.email,):
            yield f"an e-mail went to {', '.join(mail.envelope_to)} instead of {lead.email}"
        if mail.subject != expected.subject:
            yield f"the subject is {mail.subject!r} instead of {expected.subject!r}"
        if not same_text(mail.text, expected.body):
            yield f"the e-mail says {mail.text!r} instead of {expected.body!r}"
        if not has_html(mail.html, expected.html):
            yield f"the e-mail's HTML is {mail.html!r}, without {expected.html!r}"


def _faults_of_chats(
    chats: Sequence[ReceivedMessage], lead: DemoLead, expected: Expected
) -> Iterator[str]:
    if len(chats) != 1:
        yield f"{len(chats)} WhatsApp messages arrived instead of one"
    for chat in chats:
        if chat.to.lstrip("+") != lead.phone.lstrip("+"):
            yield f"a WhatsApp message went to {chat.to} instead of {lead.phone}"
        if chat.text != expected.text:
            yield f"the WhatsApp message says {chat.text!r} instead of {expected.text!r}"


def _faults_of_rows(rows: Sequence[Row], expected: Expected) -> Iterator[str]:
    if len(rows) != 1:
        yield f"{len(rows)} rows were written instead of one"
    for row in rows:
        for column, text in expected.row.items():
            if row.get(column) != text:
                yield f"the row's {column} is {row.get(column)!r} instead of {text!r}"


def _faults_of_log(run_id: str, logs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for item in logs:
        if item["runId"] == run_id and item["status"] != "succeeded":
            yield f"execution {item['nodeId']} is {item['status']}: {item.get('error')}"
