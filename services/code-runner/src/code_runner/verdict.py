"""What became of a run, read from what its box said: which may be anything at all. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson
from mirsal_contracts.message import JsonObject
from pydantic import JsonValue

Outcome: TypeAlias = Literal["ok", "user_error", "timeout", "memory", "output_limit", "rejected"]

MOST_RESULT: Final = 256 * 1024
MOST_DEPTH: Final = 100
MOST_TEXT: Final = 2000
MOST_TRACEBACK: Final = 8000
MOST_PLACE: Final = 10_000_000

_OUT_OF_MEMORY: Final = re.compile(r"out of memory|MemoryError|memory allocation", re.IGNORECASE)
_NEVER: Final = "event loop error"
_WORDS: Final[Mapping[Outcome, str]] = {
    "ok": "",
    "user_error": "The code failed.",
    "timeout": "The code did not end within {seconds:g} s.",
    "memory": "The code needs more than {megabytes:g} MB of memory.",
    "output_limit": f"The result takes more than {MOST_RESULT // 1024} KiB of JSON.",
    "rejected": "The code was not run.",
}


class Verdict(NamedTuple):
    """A run's outcome; `error` may say more: type, message, line, column, traceback."""

    outcome: Outcome
    result: JsonValue = None
    error: JsonObject | None = None


def judge(said: Mapping[str, Any], logs: str, code: str) -> Verdict:
    """What a box's answer means; `logs` and `code` tell traps apart and bound positions."""
    if said.get("tooLong"):
        return Verdict("output_limit")
    reply, trap = said.get("reply"), str(said.get("trap", ""))
    if isinstance(reply, str) and not said.get("overran"):
        return judge_reply(reply, code)
    if said.get("overran"):
        return Verdict("timeout")
    return _judge_trap(trap, logs)


def judge_reply(reply: str, code: str) -> Verdict:
    """What a guest's reply means; the guest may have been made to say anything."""
    try:
        found = orjson.loads(reply)
    except orjson.JSONDecodeError:
        return _malformed()
    if not isinstance(found, dict):
        return _malformed()
    match found.get("outcome"):
        case "ok":
            return _judge_result(found.get("result"))
        case "user_error" | "memory" as outcome:
            return Verdict(outcome, error=_fault_of(found.get("error"), code.count("\n") + 1))
        case _:
            return _malformed()


def words_of(outcome: Outcome, seconds: float, megabytes: float) -> str:
    """What a person is told of an outcome that has no message of its own."""
    return _WORDS[outcome].format(seconds=seconds, megabytes=megabytes)


def _judge_result(result: JsonValue) -> Verdict:
    if depth_exceeds(result, MOST_DEPTH):
        message = f"The result is nested deeper than {MOST_DEPTH}."
        return Verdict("output_limit", error={"message": message})
    if len(orjson.dumps(result)) > MOST_RESULT:
        return Verdict("output_limit")
    return Verdict("ok", result)


def _judge_trap(trap: str, logs: str) -> Verdict:
    if _OUT_OF_MEMORY.search(trap) or _OUT_OF_MEMORY.search(logs[-2000:]):
        return Verdict("memory")
    if "call stack exhausted" in trap:
        message = "The code calls itself too deep."
        return Verdict("user_error", error={"type": "StackOverflow", "message": message})
    if _NEVER in logs[-2000:]:
        message = "main(input) waits for something that never comes."
        return Verdict("user_error", error={"type": "NeverSettles", "message": message})
    message = "The code ended its interpreter."
    return Verdict("user_error", error={"type": "Exit", "message": message})


def _malformed() -> Verdict:
    message = "The code spoilt its interpreter: what it returned cannot be read."
    return Verdict("rejected", error={"type": "MalformedReply", "message": message})


def _fault_of(found: object, lines: int) -> JsonObject:
    """The known members only, each of its type and bounded; a line lies within the code."""
    if not isinstance(found, dict):
        return {}
    fault: JsonObject = {}
    for name, most in (("type", 200), ("message", MOST_TEXT), ("traceback", MOST_TRACEBACK)):
        value = found.get(name)
        if isinstance(value, str) and value:
            fault[name] = value[:most]
    for name, top in (("line", lines), ("column", MOST_PLACE)):
        value = found.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            fault[name] = min(value, top)
            if name == "line" and value > top:
                break
    return fault


def depth_exceeds(value: JsonValue, most: int) -> bool:
    """Whether lists and objects are nested deeper than so."""
    level: list[JsonValue] = [value]
    for _ in range(most + 1):
        level = [inner for each in level for inner in _inner(each)]
        if not level:
            return False
    return True


def _inner(value: JsonValue) -> Iterator[JsonValue]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
