"""The effect: one run of a user's code."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from mirsal_contracts.nodes.code import MOST_CODE, MOST_INPUT
from mirsal_runtime import metrics
from mirsal_runtime.attempt import Attempt
from mirsal_runtime.call_spans import calling
from mirsal_runtime.failures import PermanentError, RetryableError, ThrottledError
from mirsal_runtime.span_attributes import OUTCOME

from code_runner.crew import Crew, Said
from code_runner.params import CodeParams, CodeResult
from code_runner.process import Box, BoxDied
from code_runner.settings import Allowed, CodeSettings
from code_runner.verdict import Verdict, judge, words_of

if TYPE_CHECKING:
    from mirsal_contracts.message import JsonObject

WAIT_SECONDS = 8.0
MEGABYTE = 1024 * 1024
# A fault's details have 64 KiB for all: logs in them are their end only.
MOST_FAULT_LOGS = 24 * 1024
MOST_FAULT_TRACEBACK = 16 * 1024


class Runner(NamedTuple):
    """What all runs share."""

    crew: Crew
    settings: CodeSettings


async def run_code(params: CodeParams, attempt: Attempt, runner: Runner) -> CodeResult:
    """Run the code once. What is its own fault fails the node; a lost box is tried again."""
    given = json.dumps(params.input, ensure_ascii=False)
    _refuse_too_large(params.code, given)
    workspace = attempt.command.workspace
    allowed = runner.settings.allow(workspace, params.limits)
    async with _place(runner.crew, workspace) as box:
        await attempt.claim()
        begun = time.perf_counter()
        with calling(
            "run code", attempt.traceparent, {"mirsal.language": params.language}, kind="internal"
        ) as span:
            job = _job_of(params, given, allowed)
            said = await _run_in(box, runner.crew, job, allowed, workspace)
            verdict = judge(said.answer, said.logs, params.code)
            span.set(OUTCOME, verdict.outcome)
            _count(params.language, verdict.outcome, workspace)
        duration = round((time.perf_counter() - begun) * 1000, 3)
    # Python's parser calls it memory where a code is nested too deep.
    if params.check and verdict.outcome in ("user_error", "memory"):
        return CodeResult(result=[verdict.error or {}], duration_ms=duration)
    if verdict.outcome != "ok":
        raise failure_of(verdict, said, allowed)
    return CodeResult(
        result=verdict.result,
        logs=said.logs,
        logs_truncated=said.logs_truncated,
        duration_ms=duration,
    )


def _count(language: str, outcome: str, workspace: str) -> None:
    metrics.SANDBOX_OUTCOMES.labels(language, outcome, metrics.WORKSPACE(workspace)).inc()


async def _run_in(
    box: Box, crew: Crew, job: dict[str, Any], allowed: Allowed, workspace: str
) -> Said:
    try:
        return await crew.run(box, job, allowed.seconds)
    except BoxDied as error:
        _count(job["language"], "box_died", workspace)
        message = f"The process that ran the code ended: {error}"
        raise RetryableError("box_died", message) from error


@asynccontextmanager
async def _place(crew: Crew, workspace: str) -> AsyncIterator[Box]:
    """A box; waiting for one costs no retry."""
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                box = await stack.enter_async_context(crew.place_for(workspace))
        except TimeoutError as error:
            message = "All that may run for this workspace at a time is running."
            raise ThrottledError("code_runners_busy", message, retry_after=1.0) from error
        yield box


def failure_of(verdict: Verdict, said: Said, allowed: Allowed) -> PermanentError:
    """The node's failure: `code_<outcome>`, with the fault's place and the logs."""
    error = verdict.error or {}
    kind, message = error.get("type"), error.get("message")
    words = words_of(verdict.outcome, allowed.seconds, allowed.megabytes)
    if message:
        words = f"{kind}: {message}" if kind else str(message)
    if "line" in error:
        words += f" (line {error['line']})"
    logs = _end_of(said.logs, MOST_FAULT_LOGS)
    if "traceback" in error:
        error = {**error, "traceback": _end_of(str(error["traceback"]), MOST_FAULT_TRACEBACK)}
    details: JsonObject = {
        "outcome": verdict.outcome,
        **error,
        "logs": logs,
        "logsTruncated": said.logs_truncated or len(logs) < len(said.logs),
    }
    return PermanentError(
        f"code_{verdict.outcome}", words, details=details, outcome=verdict.outcome
    )


def _end_of(text: str, most: int) -> str:
    """As much of the text's end as takes so many bytes of JSON, or somewhat less."""
    text = text[-most:]
    while len(orjson.dumps(text)) > most:
        text = text[len(text) // 4 + 1 :]
    return text


def _job_of(params: CodeParams, given: str, allowed: Allowed) -> dict[str, Any]:
    code, check = json.dumps(params.code), json.dumps(params.check)
    return {
        "language": params.language,
        "request": f'{{"code":{code},"check":{check},"input":{given}}}',
        "seconds": allowed.seconds,
        "memory": allowed.megabytes * MEGABYTE,
    }


def _refuse_too_large(code: str, given: str) -> None:
    for what, text, most in (("code", code, MOST_CODE), ("input", given, MOST_INPUT)):
        size = len(text.encode("utf-8", "replace"))
        if size > most:
            message = f"The {what} takes {size} bytes; at most {most} fit."
            details: JsonObject = {"outcome": "rejected"}
            raise PermanentError("code_rejected", message, details=details, outcome="rejected")
