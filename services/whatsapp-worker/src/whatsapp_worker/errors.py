"""What the Cloud API's error codes mean and what is to be done: one table. Pure.

Each answer here is definite: the message was not taken. Meta says to build on `code`, not on
titles or HTTP status. Source: Meta, "Error codes" (May 2026), and the classes of our own.
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from mirsal_contracts.message import JsonObject
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    PermanentError,
    RetryableError,
    ThrottledError,
)

MINUTE, HOUR = 60.0, 3_600.0
MOST_CHARACTERS = 300
SERVER_ERROR = 500


class Remedy(Enum):
    """What follows an error."""

    RETRY = "retry"
    THROTTLE = "throttle"
    LATER = "later"
    ACT = "act"
    FAIL = "fail"


class Meaning(NamedTuple):
    """What to do, in words too; `wait` is in seconds, unless the provider says another time."""

    remedy: Remedy
    advice: str
    wait: float | None = None


_RETRY = Meaning(Remedy.RETRY, "a fault of WhatsApp's: wait")
_MEDIA = Meaning(Remedy.RETRY, "check that everybody can fetch the file from its link")
_CALLS = Meaning(Remedy.THROTTLE, "the account makes too many calls: send less", MINUTE)
_ACCESS = Meaning(Remedy.ACT, "check the access token and its permissions")
_ACCOUNT = Meaning(Remedy.ACT, "look into the account at Meta: it may not send now")
_RECIPIENT = Meaning(Remedy.FAIL, "this person cannot be reached by WhatsApp")
_MESSAGE = Meaning(Remedy.FAIL, "correct the message in the workflow")
_TEMPLATE = Meaning(Remedy.FAIL, "compare the node with the template approved by Meta")
_FLOW = Meaning(Remedy.FAIL, "correct the Flow at Meta")

MEANINGS: Mapping[int, Meaning] = {
    0: _ACCESS,
    1: _RETRY,
    2: _RETRY,
    3: _ACCESS,
    4: _CALLS,
    10: _ACCESS,
    33: _ACCOUNT,
    100: _MESSAGE,
    190: _ACCESS,
    **dict.fromkeys(range(200, 300), _ACCESS),
    368: _ACCOUNT,
    2500: Meaning(Remedy.ACT, "check MIRSAL_WHATSAPP_BASE_URL and _API_VERSION"),
    80007: _CALLS,
    130429: Meaning(Remedy.THROTTLE, "the number sends too fast: send less", 5.0),
    130472: _RECIPIENT,
    130497: _ACCOUNT,
    131000: _RETRY,
    131005: _ACCESS,
    131008: _MESSAGE,
    131009: _MESSAGE,
    131016: _RETRY,
    131021: _RECIPIENT,
    131026: _RECIPIENT,
    131030: Meaning(Remedy.FAIL, "a test number reaches only people on its list at Meta"),
    131031: _ACCOUNT,
    131037: Meaning(Remedy.ACT, "have the number's display name approved by Meta"),
    131042: Meaning(Remedy.ACT, "settle the account's payment at Meta"),
    131045: Meaning(Remedy.ACT, "register the number again at Meta"),
    131047: Meaning(Remedy.FAIL, "24 hours have passed since the lead wrote: send a template"),
    131048: Meaning(Remedy.ACT, "too many messages were reported as spam: look into it"),
    131049: Meaning(Remedy.LATER, "this person gets enough marketing for now: wait", 12 * HOUR),
    131050: Meaning(Remedy.FAIL, "this person wants no marketing messages"),
    131051: _MESSAGE,
    131052: _MEDIA,
    131053: _MEDIA,
    131056: Meaning(Remedy.THROTTLE, "too many messages to this person: send less", 6.0),
    131057: Meaning(Remedy.LATER, "the account is in maintenance: wait", HOUR),
    131063: _TEMPLATE,
    131064: _ACCOUNT,
    132000: _TEMPLATE,
    132001: _TEMPLATE,
    132005: _TEMPLATE,
    132007: _TEMPLATE,
    132008: _TEMPLATE,
    132012: _TEMPLATE,
    132015: Meaning(Remedy.FAIL, "Meta paused the template for its low quality: use another"),
    132016: Meaning(Remedy.FAIL, "Meta disabled the template: use another"),
    132018: _TEMPLATE,
    132068: _FLOW,
    132069: _FLOW,
    133004: _RETRY,
    133016: _ACCOUNT,
    135000: _MESSAGE,
    137000: _RECIPIENT,
}
# The Graph API's "no such object": the number's id or its token is wrong, for every lead.
_NO_SUCH_NUMBER = Meaning(
    Remedy.ACT,
    "check the number's id and the token (the credential's, or else "
    "MIRSAL_WHATSAPP_PHONE_NUMBER_ID and _TOKEN)",
)


def failure_of(
    status: int, error: Mapping[str, object], *, retry_after: float | None, secret: str
) -> AttemptFailure | None:
    """What to raise for an answer's `error` object; None if it is none of Meta's.

    `retry_after` is what the answer's header says, in seconds. `secret` never shows up in what
    is raised, whatever the provider wrote.
    """
    code = error.get("code")
    if not isinstance(code, int) or isinstance(code, bool):
        return None
    meaning = MEANINGS.get(code) or _unknown(status, error)
    if code == 100 and error.get("error_subcode") == 33:
        meaning = _NO_SUCH_NUMBER
    said = readable(_words(error), secret)
    message = f"WhatsApp refused the message: {meaning.advice}. It said: {code} {said}".strip()
    return _make(meaning, f"whatsapp_{code}", message, retry_after, _details(error, secret))


def _make(
    meaning: Meaning, code: str, message: str, retry_after: float | None, details: JsonObject
) -> AttemptFailure:
    if meaning.remedy is Remedy.ACT:
        return ActionRequired(code, message, details=details)
    if meaning.remedy is Remedy.FAIL:
        return PermanentError(code, message, details=details)
    wait = meaning.wait if retry_after is None else retry_after
    if meaning.remedy is Remedy.RETRY:
        return RetryableError(code, message, retry_after=wait, details=details)
    if meaning.remedy is Remedy.LATER:
        wait = max(wait or 0.0, meaning.wait or 0.0)
    return ThrottledError(code, message, retry_after=wait or MINUTE, details=details)


def _unknown(status: int, error: Mapping[str, object]) -> Meaning:
    if error.get("is_transient") is True or status >= SERVER_ERROR:
        return _RETRY
    if status == 429:
        return _CALLS
    return Meaning(Remedy.FAIL, "look the code up at Meta")


def _words(error: Mapping[str, object]) -> str:
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    for text in (details, error.get("message")):
        if isinstance(text, str) and text:
            return text
    return ""


def _details(error: Mapping[str, object], secret: str) -> JsonObject:
    """What Meta's support asks for."""
    details: JsonObject = {}
    for name, key in (("error_subcode", "subcode"), ("fbtrace_id", "fbtraceId")):
        value = error.get(name)
        if isinstance(value, int):
            details[key] = value
        elif isinstance(value, str):
            details[key] = readable(value, secret)
    return details


def readable(text: str, secret: str) -> str:
    """A provider's words for an error: one line, of limited length, without `secret`."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.replace(secret, "[hidden]").split())[:MOST_CHARACTERS]
