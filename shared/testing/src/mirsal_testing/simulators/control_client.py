"""What the HTTP clients of all simulators share: paging, rules, waiting, deadlines."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from typing import Self

CALL_SECONDS = 10.0
POLL_SECONDS = 0.05
ALL_OF_PAGE = 5000

ClientT = TypeVar("ClientT", bound="ControlClient")


class ControlClient:
    """Talks to a simulator in another process. Use `async with`, or call `close`.

    Every call ends within 10 s with an answer or an httpx.HTTPError.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # Loopback never goes through a proxy of the environment.
        self._http = httpx.AsyncClient(base_url=self.url, timeout=CALL_SECONDS, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def is_healthy(self) -> bool:
        try:
            answer = await self._http.get("/health")
        except httpx.TransportError:
            return False
        return answer.is_success

    async def summary(self) -> dict[str, Any]:
        return await self._get("/simulator/summary")

    async def rules(self) -> list[dict[str, Any]]:
        """All rules, spent ones too; `applied` says how often each one met a call."""
        return list((await self._get("/simulator/rules"))["items"])

    async def add_rules(self, *rules: Mapping[str, object]) -> list[dict[str, Any]]:
        """The rules as the simulator took them, with their ids."""
        answer = await self._http.post("/simulator/rules", json=list(rules))
        raise_with_reason(answer)
        return list(answer.json()["items"])

    async def remove_rule(self, rule_id: str) -> None:
        await self._delete(f"/simulator/rules/{rule_id}")

    async def clear_rules(self) -> None:
        await self._delete("/simulator/rules")

    async def _pages(
        self, path: str, query: Mapping[str, str | int], fields: Iterable[str] | None
    ) -> AsyncIterator[dict[str, Any]]:
        params: dict[str, str | int] = {"limit": ALL_OF_PAGE, **query}
        if fields is not None:
            params["fields"] = ",".join(fields)
        while True:
            page = await self._get(path, params)
            for item in page["items"]:
                yield item
            if page["next"] >= page["total"] or not page["items"]:
                return
            params["since"] = page["next"]

    async def _get(
        self, path: str, params: Mapping[str, str | int] | None = None
    ) -> dict[str, Any]:
        answer = await self._http.get(path, params=dict(params or {}))
        raise_with_reason(answer)
        found: dict[str, Any] = answer.json()
        return found

    async def _delete(self, path: str) -> None:
        raise_with_reason(await self._http.delete(path))


class MessageClient(ControlClient):
    """Of a simulator to which messages are sent."""

    async def reset(self) -> None:
        """Forgets what was recorded, and all rules."""
        await self._delete("/simulator/messages")
        await self.clear_rules()

    async def wait_for_messages(self, count: int, seconds: float = 30.0) -> dict[str, Any]:
        """The summary, once it counts at least `count` messages. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while True:
            summary = await self.summary()
            if summary["messages"] >= count:
                return summary
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{summary['messages']} of {count} messages arrived within {seconds:g} s"
                )
            await asyncio.sleep(POLL_SECONDS)


def raise_with_reason(answer: httpx.Response) -> None:
    if answer.is_error:
        raise httpx.HTTPStatusError(
            f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}",
            request=answer.request,
            response=answer,
        )
