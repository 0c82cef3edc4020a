"""Replaces a stack's processes one by one by those of another version, as a rolling deploy does."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import psutil

import mirsal_testing.releases.migrate_all
from mirsal_testing.stack.code import THIS_VERSION, Code
from mirsal_testing.storm.strikes import stop_at_work

if TYPE_CHECKING:
    from mirsal_testing.releases.source import Checkout
    from mirsal_testing.stack import Stack
    from mirsal_testing.storm.strikes import InHand

# Who reads before who writes: a release may add what only new readers know. Back: the other way.
ORDER = (
    "email-worker",
    "whatsapp-worker",
    "sheets-worker",
    "code-runner",
    "webhook-worker",
    "orchestrator",
    "gateway",
)
# What Kubernetes gives is 30 s and more; this is the product's promise.
END_SECONDS = 25.0
READY_SECONDS = 60.0
JOB_SECONDS = 120.0
LOOK_SECONDS = 20.0
_POLL = 0.01


class Replaced(NamedTuple):
    """One process that was told to end, and how it did.

    `in_hand` is how much it had begun and not finished then, as others saw it.
    """

    part: str
    number: int
    exit_code: int | None
    seconds: float
    in_hand: int

    def __str__(self) -> str:
        return (
            f"{self.part} {self.number}: {self.in_hand} in hand, "
            f"exit code {self.exit_code} after {self.seconds:.1f} s"
        )


def code_of_release(checkout: Checkout) -> Code:
    """How a stack runs a release."""
    return Code(str(checkout.python), checkout.environment)


def prepare_servers(stack: Stack, code: Code = THIS_VERSION) -> None:
    """What comes before the first process of a version: its migrations and topics."""
    modules = [part.replace("-", "_") for part in ORDER]
    for arguments in (
        [mirsal_testing.releases.migrate_all.__file__, *modules],
        ["-m", "mirsal_runtime.topics", "apply"],
    ):
        subprocess.run(  # noqa: S603 - our own programs
            [code.python, *arguments],
            env={**os.environ, **stack.environment, **code.environment},
            stdout=sys.stderr,
            timeout=JOB_SECONDS,
            check=True,
        )


async def replace(
    stack: Stack, part: str, code: Code, in_hand: InHand, *, index: int = 1
) -> Replaced:
    """SIGTERM to a process at work; returns when one that runs `code` is ready in its place.

    Raises `AssertionError` if it was idle, or if its successor runs something else.
    """
    name = stack.part_name(part, index)
    code.write(stack.folder.code_file_of(name))
    count = await _await_work(stack, part, in_hand, index)
    began = time.monotonic()
    pid = stack.send_signal(part, index, signal.SIGTERM)
    if part != "gateway" and index == 1:
        stack.resume(part)
    # No child of ours: its end sets no event.
    while psutil.pid_exists(pid) and time.monotonic() < began + END_SECONDS:  # noqa: ASYNC110
        await asyncio.sleep(_POLL)
    seconds = time.monotonic() - began
    await stack.wait_ready(READY_SECONDS, gone=[pid])
    successor = psutil.Process(stack.pids(part)[index])
    if successor.cmdline()[0] != code.python:
        raise AssertionError(f"{name} runs {successor.cmdline()[0]}, not {code.python}")
    return Replaced(part, index, stack.exit_code(part, index), seconds, count)


async def _await_work(stack: Stack, part: str, in_hand: InHand, index: int) -> int:
    if index > 1:
        return await in_hand(part, time.time())
    if part != "gateway":
        return await stop_at_work(stack, part, in_hand)
    # Stopped, it could not take what has reached its port: a call would be cut by the stop.
    give_up = time.monotonic() + LOOK_SECONDS
    while not (count := await in_hand(part, time.time())):
        if time.monotonic() > give_up:
            raise AssertionError(f"{part} had nothing in hand for {LOOK_SECONDS:.0f} s")
        await asyncio.sleep(_POLL)
    return count
