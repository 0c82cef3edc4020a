"""The demo's verdict: only exactly one of each, with the right text, is good."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mirsal_contracts.ids import command_id_of, execution_id_of
from mirsal_testing.demo.arrivals import Arrived, execution_of
from mirsal_testing.demo.expected import expect_for
from mirsal_testing.demo.story import DemoError, DemoLead, read_story
from mirsal_testing.demo.verdict import Verdict, is_over, judge
from mirsal_testing.servers.cache import repository_folder
from mirsal_testing.simulators.smtp.client import InboxMail
from mirsal_testing.simulators.whatsapp.client import ReceivedMessage

EXAMPLES = (repository_folder() or Path.cwd()) / "examples"
STORY = read_story(EXAMPLES / "leads.csv", EXAMPLES / "welcome.workflow.json")
LEAD = next(lead for lead in STORY.leads if "'" in lead.name)
RUN = "019aab00-0000-7000-8000-000000000001"
STARTED = datetime(2026, 11, 22, 12, tzinfo=UTC)
MAIL_ID = execution_id_of(RUN, STORY.workflow.mail)
CHAT_ID = execution_id_of(RUN, STORY.workflow.chat)
SHEET_ID = execution_id_of(RUN, STORY.workflow.sheet)


def make_mail(lead: DemoLead = LEAD) -> InboxMail:
    expected = expect_for(lead, STORY.workflow)
    return InboxMail(
        sequence=1,
        arrived_at=STARTED + timedelta(seconds=1),
        envelope_from="mirsal@example.com",
        envelope_to=(lead.email,),
        message_id=f"<{command_id_of(MAIL_ID, 1)}@example.com>",
        subject=expected.subject,
        sender="mirsal@example.com",
        to=lead.email,
        cc="",
        text=expected.body.replace("\n", "\r\n") + "\r\n",
        html=f'<div dir="rtl">{expected.html}</div>'.replace("&#x27;", "&#39;"),
        headers=(),
        raw=b"",
    )


def make_chat(lead: DemoLead = LEAD) -> ReceivedMessage:
    return ReceivedMessage(
        sequence=1,
        arrived_at=STARTED + timedelta(seconds=2),
        message_id="wamid.1",
        phone_number_id="1",
        to=lead.phone.removeprefix("+"),
        type="text",
        text=expect_for(lead, STORY.workflow).text,
        callback_data=command_id_of(CHAT_ID, 1),
        headers={},
        body=b"{}",
    )


def make_logs(*statuses: str) -> list[dict[str, Any]]:
    return [
        {"runId": RUN, "nodeId": node, "status": status, "error": None}
        for node, status in zip(("mail", "chat", "sheet"), statuses, strict=False)
    ]


def make_row(lead: DemoLead = LEAD, **changed: object) -> dict[str, object]:
    return {**expect_for(lead, STORY.workflow).row, "_mirsal_row_key": SHEET_ID, **changed}


def judge_one(
    mails: list[InboxMail],
    chats: list[ReceivedMessage],
    *statuses: str,
    rows: list[dict[str, object]] | None = None,
) -> Verdict:
    arrived = Arrived(
        {MAIL_ID: mails}, {CHAT_ID: chats}, {SHEET_ID: [make_row()] if rows is None else [*rows]}
    )
    logs = make_logs(*(statuses or ("succeeded", "succeeded", "succeeded")))
    return judge(STORY.workflow, {RUN: LEAD}, logs, arrived, STARTED.timestamp())


def test_one_of_each_with_the_right_text_is_good() -> None:
    verdict = judge_one([make_mail()], [make_chat()])
    assert verdict.faults == []
    assert (verdict.succeeded, verdict.failed) == (1, 0)
    assert (verdict.mails, verdict.chats, verdict.rows) == (1, 1, 1)
    assert verdict.waits == [2.0]


@pytest.mark.parametrize(
    ("mails", "chats", "words"),
    [
        ([], [make_chat()], "0 e-mails arrived"),
        ([make_mail(), make_mail()], [make_chat()], "2 e-mails arrived"),
        ([make_mail()], [], "0 WhatsApp messages arrived"),
        ([make_mail()], [make_chat(), make_chat()], "2 WhatsApp messages arrived"),
        ([replace(make_mail(), subject="مرحبا")], [make_chat()], "the subject is"),
        ([replace(make_mail(), text="?")], [make_chat()], "the e-mail says"),
        ([replace(make_mail(), html=f"<p>{LEAD.name}</p>")], [make_chat()], "the e-mail's HTML"),
        ([replace(make_mail(), envelope_to=("x@example.com",))], [make_chat()], "an e-mail went"),
        ([make_mail()], [replace(make_chat(), text="أهلا")], "the WhatsApp message says"),
        ([make_mail()], [replace(make_chat(), to="201")], "a WhatsApp message went"),
    ],
)
def test_anything_else_is_named_with_its_lead(
    mails: list[InboxMail], chats: list[ReceivedMessage], words: str
) -> None:
    verdict = judge_one(mails, chats)
    assert len(verdict.faults) == 1
    assert verdict.faults[0].startswith(f"{LEAD.id} ({LEAD.name}): {words}")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "0 rows were written instead of one"),
        ([make_row(), make_row()], "2 rows were written instead of one"),
        ([make_row(الهاتف=966512921132)], "the row's الهاتف is 966512921132 instead of"),
        ([make_row(المدينة="")], "the row's المدينة is '' instead of"),
    ],
)
def test_a_row_that_is_not_right_is_named(rows: list[dict[str, object]], words: str) -> None:
    verdict = judge_one([make_mail()], [make_chat()], rows=rows)
    assert len(verdict.faults) == 1
    assert verdict.faults[0].startswith(f"{LEAD.id} ({LEAD.name}): {words}")


def test_an_execution_that_did_not_succeed_is_named() -> None:
    verdict = judge_one([make_mail()], [], "succeeded", "failed")
    assert (verdict.succeeded, verdict.failed) == (0, 1)
    assert any("execution chat is failed" in fault for fault in verdict.faults)


@pytest.mark.parametrize(
    ("statuses", "over"),
    [
        ((), False),
        (("queued",), False),
        (("succeeded",), False),
        (("succeeded", "queued"), False),
        (("succeeded", "retrying"), False),
        (("succeeded", "succeeded"), False),
        (("succeeded", "succeeded", "queued"), False),
        (("succeeded", "succeeded", "succeeded"), True),
        (("failed",), True),
        (("succeeded", "unconfirmed"), True),
        (("waiting",), True),
    ],
)
def test_knows_when_nothing_more_will_come(statuses: tuple[str, ...], *, over: bool) -> None:
    assert is_over(make_logs(*statuses), 1) is over


def test_message_ids_lead_back_to_their_execution() -> None:
    command_id = command_id_of(MAIL_ID, 2)
    assert execution_of(command_id) == MAIL_ID
    assert execution_of(f"<{command_id}@example.com>") == MAIL_ID
    assert execution_of(None) == ""


def test_a_text_that_the_demo_cannot_check_is_refused() -> None:
    workflow = replace(STORY.workflow, text="{{lead.locale}}")
    with pytest.raises(DemoError, match=r"lead\.locale"):
        expect_for(LEAD, workflow)
