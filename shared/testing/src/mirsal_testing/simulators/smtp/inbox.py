"""The HTTP side of the SMTP simulator: the inbox pages and the JSON API."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

from aiohttp import web

from mirsal_testing.simulators.control import (
    BadQuery,
    Control,
    View,
    answer_health,
    answer_problem,
    last_part,
    read_int,
    rule_routes,
)
from mirsal_testing.simulators.listener import answer_json
from mirsal_testing.simulators.process import cpu_seconds
from mirsal_testing.simulators.smtp.pages import (
    BODY_POLICY,
    PAGE_POLICY,
    STYLE,
    VIEWS,
    ListPage,
    disposition,
    render_list,
    render_mail,
)
from mirsal_testing.simulators.smtp.search import PAUSE_AFTER, search

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirsal_testing.simulators.rulebook import RuleBook
    from mirsal_testing.simulators.smtp.mailbox import Mailbox, ReceivedMail
    from mirsal_testing.simulators.smtp.rules import SmtpRule

PAGE_LENGTH = 50
DEFAULT_LIMIT = 100
MOST = 5000

MAILS: View[ReceivedMail] = View(
    members={
        "sequence": lambda mail: mail.sequence,
        "arrivedAt": lambda mail: mail.arrived_at,
        "envelope": lambda mail: {"from": mail.sender, "to": mail.recipients},
        "messageId": lambda mail: mail.message_id,
        "subject": lambda mail: mail.subject,
        "from": lambda mail: ", ".join(map(str, mail.reading.sender)),
        "to": lambda mail: ", ".join(map(str, mail.reading.to)),
        "cc": lambda mail: ", ".join(map(str, mail.reading.cc)),
        "text": lambda mail: mail.text,
        "html": lambda mail: mail.html,
        "headers": lambda mail: mail.reading.headers,
        "tls": lambda mail: mail.tls,
        "user": lambda mail: mail.user,
        "smtpUtf8": lambda mail: mail.smtp_utf8,
        "raw": lambda mail: base64.b64encode(mail.content).decode(),
    },
    default=(
        "sequence", "arrivedAt", "envelope", "messageId", "subject", "from", "to", "cc", "text",
        "html", "headers", "tls", "user", "smtpUtf8", "raw",
    ),
)  # fmt: skip


class InboxRoutes:
    """The handlers, one for each method and path. `address` tells where mail is taken."""

    def __init__(
        self, mailbox: Mailbox, rules: RuleBook[SmtpRule], address: Callable[[], str]
    ) -> None:
        self._mailbox = mailbox
        self._rules = rules
        self._address = address

    def control(self) -> Control:
        return Control(
            {
                ("GET", "/"): self.show_list,
                ("GET", "/mail/*"): self.show_mail,
                ("GET", "/body/*"): self.show_body,
                ("GET", "/attachment/*"): self.save_attachment,
                ("GET", "/style.css"): self.show_style,
                ("POST", "/clear"): self.clear_and_return,
                ("GET", "/health"): answer_health,
                ("GET", "/simulator/messages"): self.list_messages,
                ("DELETE", "/simulator/messages"): self.clear_messages,
                ("GET", "/simulator/summary"): self.show_summary,
                ("GET", "/simulator/counts"): self.show_counts,
                **rule_routes(self._rules),
            }
        )

    async def show_list(self, request: web.BaseRequest) -> web.Response:
        query = request.query.get("q", "").strip()
        number = max(1, read_int(request, "page", 1, 1_000_000))
        total = self._mailbox.mails.total
        if query:
            found = await search(self._mailbox, query, PAGE_LENGTH)
            return _page(render_list(ListPage(found, total, self._address(), query)))
        mails = self._mailbox.newest((number - 1) * PAGE_LENGTH, PAGE_LENGTH)
        has_older = bool(mails) and mails[-1].sequence > self._mailbox.mails.first_sequence
        page = ListPage(mails, total, self._address(), "", number, has_older)
        return _page(render_list(page))

    async def show_mail(self, request: web.BaseRequest) -> web.Response:
        mail = self._find(request)
        if mail is None:
            return _gone()
        view = request.query.get("view", "html")
        if view not in VIEWS:
            raise BadQuery(f"view must be one of {', '.join(VIEWS)}")
        return _page(render_mail(mail, view, self._mailbox.mails.total))

    async def show_body(self, request: web.BaseRequest) -> web.Response:
        """The mail's own HTML, for the frame: no scripts, no remote images, no way out."""
        mail = self._find(request)
        return _gone() if mail is None else _page(mail.html, BODY_POLICY)

    async def save_attachment(self, request: web.BaseRequest) -> web.Response:
        mail = self._find(request)
        part = read_int(request, "part", 0, 1_000_000)
        if mail is None or part >= len(mail.reading.attachments):
            return _gone()
        attachment = mail.reading.attachments[part]
        return web.Response(
            body=attachment.content,
            content_type="application/octet-stream",
            headers={
                "Content-Disposition": disposition(attachment.name),
                "X-Content-Type-Options": "nosniff",
            },
        )

    async def show_style(self, _request: web.BaseRequest) -> web.Response:
        return web.Response(text=STYLE, content_type="text/css")

    async def clear_and_return(self, _request: web.BaseRequest) -> web.Response:
        self._mailbox.clear()
        return web.Response(status=303, headers={"Location": "/"})

    async def list_messages(self, request: web.BaseRequest) -> web.Response:
        """`?since=` a sequence number (exclusive), `?limit=`, `?fields=`, `?to=`, `?messageId=`."""
        since = read_int(request, "since", 0, self._mailbox.mails.total)
        limit = read_int(request, "limit", DEFAULT_LIMIT, MOST)
        names = MAILS.names(request)
        to, message_id = request.query.get("to"), request.query.get("messageId")

        def wanted(mail: ReceivedMail) -> bool:
            return (to is None or to in mail.recipients) and (
                message_id is None or message_id == mail.message_id
            )

        items = []
        found = self._mailbox.mails.after(since, limit, wanted if to or message_id else None)
        for index, mail in enumerate(found):
            if index % PAUSE_AFTER == 0:
                await asyncio.sleep(0)
            items.append(MAILS.show(mail, names))
        last = found[-1].sequence if found else since
        return answer_json({"items": items, "next": last, "total": self._mailbox.mails.total})

    async def clear_messages(self, _request: web.BaseRequest) -> web.Response:
        self._mailbox.clear()
        return web.Response(status=204)

    async def show_summary(self, _request: web.BaseRequest) -> web.Response:
        return answer_json({**self._mailbox.summary(), "cpuSeconds": cpu_seconds()})

    async def show_counts(self, _request: web.BaseRequest) -> web.Response:
        return answer_json(dict(self._mailbox.by_recipient.counts))

    def _find(self, request: web.BaseRequest) -> ReceivedMail | None:
        number = last_part(request)
        if not (number.isascii() and number.isdigit()):
            return None
        mail: ReceivedMail | None = self._mailbox.mails.get(int(number))
        return mail


def _gone() -> web.Response:
    return answer_problem(404, "No such mail")


def _page(html: str, policy: str = PAGE_POLICY) -> web.Response:
    return web.Response(
        text=html,
        content_type="text/html",
        headers={
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )
