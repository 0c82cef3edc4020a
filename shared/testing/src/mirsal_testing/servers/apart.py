"""Running a coroutine to its end from synchronous code, whatever loop the caller may be in."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def run_apart(work: Coroutine[object, object, T]) -> T:
    """Runs it in a loop of its own in another thread, which leaves the caller's loop alone."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="mirsal") as pool:
        return pool.submit(asyncio.run, work).result()
