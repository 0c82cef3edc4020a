"""The JSON API by which a test steers a simulator: routing, pages of entries, rules, problems.

The same for every simulator; what is listed and counted is each one's own matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import orjson
from aiohttp import web
from pydantic import ValidationError

from mirsal_testing.simulators.listener import answer_json
from mirsal_testing.simulators.rulebook import Rule, RuleBook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mirsal_testing.simulators.listener import Handler

RULES = "/simulator/rules"

EntryT = TypeVar("EntryT")
RuleT = TypeVar("RuleT", bound=Rule)


class BadQuery(ValueError):
    """A query parameter that makes no sense. The text says which."""


def answer_problem(status: int, title: str, detail: object = None) -> web.Response:
    return answer_json({"title": title, "status": status, "detail": detail}, status)


def read_int(request: web.BaseRequest, name: str, default: int, maximum: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise BadQuery(f"{name} must be a whole number, not {text!r}")
    return min(int(text), maximum)


@dataclass(frozen=True)
class View(Generic[EntryT]):
    """How entries look in JSON: a function for each member, called only for those asked for."""

    members: Mapping[str, Callable[[EntryT], object]]
    default: tuple[str, ...]

    def names(self, request: web.BaseRequest) -> tuple[str, ...]:
        """The members that `?fields=a,b` asks for."""
        asked = request.query.get("fields")
        if not asked:
            return self.default
        names = tuple(asked.split(","))
        unknown = [name for name in names if name not in self.members]
        if unknown:
            raise BadQuery(f"no such field: {', '.join(unknown)}; known: {', '.join(self.members)}")
        return names

    def show(self, entry: EntryT, names: Iterable[str]) -> dict[str, object]:
        return {name: self.members[name](entry) for name in names}


class Control:
    """Answers by exact (method, path), else by the path with `*` for its last part."""

    def __init__(self, routes: Mapping[tuple[str, str], Handler]) -> None:
        self._routes = routes

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "GET" and request.headers.get("Sec-Fetch-Site") == "cross-site":
            return answer_problem(403, "A page of another site may not change the simulator")
        handler = self._routes.get((request.method, request.path))
        if handler is None:
            folder = request.path.rpartition("/")[0]
            handler = self._routes.get((request.method, folder + "/*"))
        if handler is None:
            return answer_problem(404, "No such page", f"{request.method} {request.path}")
        try:
            return await handler(request)
        except BadQuery as error:
            return answer_problem(422, "Wrong query", str(error))


def last_part(request: web.BaseRequest) -> str:
    return request.path.rpartition("/")[2]


def rule_routes(book: RuleBook[RuleT]) -> dict[tuple[str, str], Handler]:
    """List, add, delete all, delete one."""

    def show(rules: Iterable[RuleT]) -> dict[str, object]:
        return {
            "items": [
                rule.model_dump(mode="json", by_alias=True, exclude_none=True) for rule in rules
            ]
        }

    async def list_rules(_request: web.BaseRequest) -> web.Response:
        return answer_json(show(book))

    async def add_rules(request: web.BaseRequest) -> web.Response:
        try:
            sent = orjson.loads(await request.read())
            added = book.add_all(sent if isinstance(sent, list) else [sent])
        except orjson.JSONDecodeError as error:
            return answer_problem(400, "The body is not JSON", str(error))
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            return answer_problem(422, "Not a rule", faults)
        return answer_json(show(added), 201)

    async def clear_rules(_request: web.BaseRequest) -> web.Response:
        book.clear()
        return web.Response(status=204)

    async def remove_rule(request: web.BaseRequest) -> web.Response:
        if not book.remove(last_part(request)):
            return answer_problem(404, "No such rule")
        return web.Response(status=204)

    return {
        ("GET", RULES): list_rules,
        ("POST", RULES): add_rules,
        ("DELETE", RULES): clear_rules,
        ("DELETE", RULES + "/*"): remove_rule,
    }


async def answer_health(_request: web.BaseRequest) -> web.Response:
    return answer_json({"status": "ok"})
