"""The control API of the WhatsApp simulator: what was sent, how often, and the templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from mirsal_testing.simulators.control import (
    BadQuery,
    Control,
    answer_health,
    answer_problem,
    read_int,
    rule_routes,
)
from mirsal_testing.simulators.listener import answer_json
from mirsal_testing.simulators.process import cpu_seconds
from mirsal_testing.simulators.whatsapp.record import CALLS, MESSAGES, Call, Record
from mirsal_testing.simulators.whatsapp.templates import Template, TemplateRegistry

if TYPE_CHECKING:
    from mirsal_testing.simulators.control import View
    from mirsal_testing.simulators.journal import Journal
    from mirsal_testing.simulators.rulebook import RuleBook
    from mirsal_testing.simulators.whatsapp.rules import WhatsAppRule

DEFAULT_LIMIT = 1000
MOST = 20_000
TEMPLATES = TypeAdapter(list[Template])


class WhatsAppRoutes:
    """The handlers, one for each method and path."""

    def __init__(
        self, record: Record, rules: RuleBook[WhatsAppRule], templates: TemplateRegistry
    ) -> None:
        self._record = record
        self._rules = rules
        self._templates = templates

    def control(self) -> Control:
        return Control(
            {
                ("GET", "/health"): answer_health,
                ("GET", "/simulator/messages"): self.list_messages,
                ("DELETE", "/simulator/messages"): self.clear_messages,
                ("GET", "/simulator/calls"): self.list_calls,
                ("GET", "/simulator/summary"): self.show_summary,
                ("GET", "/simulator/counts"): self.show_counts,
                ("GET", "/simulator/templates"): self.list_templates,
                ("POST", "/simulator/templates"): self.add_templates,
                ("DELETE", "/simulator/templates"): self.clear_templates,
                **rule_routes(self._rules),
            }
        )

    async def list_messages(self, request: web.BaseRequest) -> web.Response:
        return _page(request, self._record.messages, MESSAGES, ("to", "callbackData"))

    async def list_calls(self, request: web.BaseRequest) -> web.Response:
        return _page(request, self._record.calls, CALLS, ("to", "callbackData", "outcome"))

    async def show_summary(self, _request: web.BaseRequest) -> web.Response:
        return answer_json({**self._record.summary(), "cpuSeconds": cpu_seconds()})

    async def show_counts(self, request: web.BaseRequest) -> web.Response:
        tallies = {
            "callbackData": self._record.by_callback_data,
            "to": self._record.by_recipient,
        }
        tally = tallies.get(request.query.get("by", "callbackData"))
        if tally is None:
            raise BadQuery(f"by must be one of {', '.join(tallies)}")
        return answer_json(dict(tally.counts))

    async def clear_messages(self, _request: web.BaseRequest) -> web.Response:
        self._record.clear()
        return web.Response(status=204)

    async def list_templates(self, _request: web.BaseRequest) -> web.Response:
        return answer_json({"items": [each.model_dump(by_alias=True) for each in self._templates]})

    async def add_templates(self, request: web.BaseRequest) -> web.Response:
        try:
            sent = orjson.loads(await request.read())
            added = TEMPLATES.validate_python(sent if isinstance(sent, list) else [sent])
        except (orjson.JSONDecodeError, ValidationError) as error:
            return answer_problem(422, "Not a template", str(error))
        for template in added:
            self._templates.register(template)
        return await self.list_templates(request)

    async def clear_templates(self, _request: web.BaseRequest) -> web.Response:
        self._templates.clear()
        return web.Response(status=204)


ATTRIBUTES = {"to": "to", "callbackData": "callback_data", "outcome": "outcome"}


def _page(
    request: web.BaseRequest, journal: Journal[Call], view: View[Call], filters: tuple[str, ...]
) -> web.Response:
    """`?since=` a sequence number (exclusive), `?limit=`, `?fields=`, and the exact filters."""
    since = read_int(request, "since", 0, journal.total)
    limit = read_int(request, "limit", DEFAULT_LIMIT, MOST)
    names = view.names(request)
    wanted = {ATTRIBUTES[name]: request.query[name] for name in filters if name in request.query}
    found = journal.after(
        since,
        limit,
        (lambda call: all(getattr(call, name) == value for name, value in wanted.items()))
        if wanted
        else None,
    )
    number = view.members["sequence"]
    return answer_json(
        {
            "items": [view.show(call, names) for call in found],
            "next": number(found[-1]) if found else since,
            "total": journal.total,
        }
    )
