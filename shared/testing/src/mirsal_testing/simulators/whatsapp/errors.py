"""The errors of the WhatsApp Cloud API after Meta's page "Error codes" (May 2026), and their body.

Copies of that page disagree on the HTTP status of throttling (400, 429): a rule may set its own.
"""

from __future__ import annotations

import secrets

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 400, 401, 403, 404
SERVER_ERROR, UNAVAILABLE = 500, 503

ERRORS: dict[int, tuple[int, str]] = {
    0: (UNAUTHORIZED, "AuthException"),
    1: (BAD_REQUEST, "API Unknown"),
    2: (UNAVAILABLE, "API Service"),
    3: (SERVER_ERROR, "API Method"),
    4: (BAD_REQUEST, "API Too Many Calls"),
    10: (FORBIDDEN, "Permission Denied"),
    33: (BAD_REQUEST, "Parameter value is not valid"),
    100: (BAD_REQUEST, "Invalid parameter"),
    190: (UNAUTHORIZED, "Access token has expired"),
    200: (FORBIDDEN, "API Permission"),
    368: (FORBIDDEN, "Temporarily blocked for policies violations"),
    80007: (BAD_REQUEST, "Rate limit issues"),
    130429: (BAD_REQUEST, "Rate limit hit"),
    130472: (BAD_REQUEST, "User's number is part of an experiment"),
    130497: (FORBIDDEN, "Business account is restricted from messaging users in this country"),
    131000: (SERVER_ERROR, "Something went wrong"),
    131005: (FORBIDDEN, "Access denied"),
    131008: (BAD_REQUEST, "Required parameter is missing"),
    131009: (BAD_REQUEST, "Parameter value is not valid"),
    131016: (SERVER_ERROR, "Service unavailable"),
    131021: (BAD_REQUEST, "Recipient cannot be sender"),
    131026: (BAD_REQUEST, "Message undeliverable"),
    131030: (BAD_REQUEST, "Recipient phone number not in allowed list"),
    131031: (FORBIDDEN, "Account has been locked"),
    131037: (BAD_REQUEST, "Display name approval needed before a message can be sent"),
    131042: (BAD_REQUEST, "Business eligibility payment issue"),
    131045: (SERVER_ERROR, "Incorrect certificate"),
    131047: (BAD_REQUEST, "Re-engagement message"),
    131048: (BAD_REQUEST, "Spam rate limit hit"),
    131049: (BAD_REQUEST, "Message not delivered to maintain healthy ecosystem engagement"),
    131050: (BAD_REQUEST, "User has stopped marketing messages from this business"),
    131051: (BAD_REQUEST, "Unsupported message type"),
    131052: (BAD_REQUEST, "Media download error"),
    131053: (BAD_REQUEST, "Media upload error"),
    131056: (BAD_REQUEST, "(Business Account, Consumer Account) pair rate limit hit"),
    131057: (SERVER_ERROR, "Account in maintenance mode"),
    131063: (BAD_REQUEST, "Marketing templates disabled for Cloud API"),
    131064: (BAD_REQUEST, "Account has reached its messaging limit"),
    132000: (BAD_REQUEST, "Number of parameters does not match the expected number of params"),
    132001: (NOT_FOUND, "Template name does not exist in the translation"),
    132005: (BAD_REQUEST, "Template hydrated text too long"),
    132007: (BAD_REQUEST, "Template format character policy violated"),
    132008: (BAD_REQUEST, "Template parameter value is not valid"),
    132012: (BAD_REQUEST, "Parameter format does not match format in the created template"),
    132015: (BAD_REQUEST, "Template is paused"),
    132016: (BAD_REQUEST, "Template is disabled"),
    132018: (BAD_REQUEST, "There's an issue with the parameters in your template"),
    132068: (BAD_REQUEST, "Flow is blocked"),
    132069: (SERVER_ERROR, "Flow is throttled"),
    133004: (UNAVAILABLE, "Server temporarily unavailable"),
    133016: (BAD_REQUEST, "Account register deregister rate limit exceeded"),
    135000: (BAD_REQUEST, "Generic user error"),
    137000: (BAD_REQUEST, "Recipient identity key mismatch"),
}

DETAILS: dict[int, str] = {
    130429: "Message failed to send because there were too many messages sent from this phone "
    "number in a short period of time",
    131026: "Message undeliverable.",
    131047: "Message failed to send because more than 24 hours have passed since the customer "
    "last replied to this number.",
    131056: "Message failed to send because there were too many messages sent from this phone "
    "number to the same phone number in a short period of time.",
}

FIRST_WHATSAPP_CODE = 130000
"""From here on every error carries `error_data`; below are the Graph API's own, mostly without."""


class MetaError(Exception):
    """One refusal, as Meta words it. What is not given comes from the tables above."""

    def __init__(
        self,
        code: int,
        *,
        message: str | None = None,
        details: str | None = None,
        status: int | None = None,
        subcode: int | None = None,
        kind: str = "OAuthException",
    ) -> None:
        known_status, title = ERRORS.get(code, (BAD_REQUEST, "Simulated error"))
        if 200 <= code < 300:  # the range that Meta names for missing permissions
            known_status, title = ERRORS[200]
        self.code = code
        self.status = status or known_status
        self.message = message if message is not None else f"(#{code}) {title}"
        self.details = details or DETAILS.get(code)
        if self.details is None and code >= FIRST_WHATSAPP_CODE:
            self.details = title
        self.subcode = subcode
        self.kind = kind
        super().__init__(self.details or self.message)

    def body(self) -> dict[str, object]:
        error: dict[str, object] = {
            "message": self.message,
            "type": self.kind,
            "code": self.code,
        }
        if self.details is not None:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        error["fbtrace_id"] = "A" + secrets.token_urlsafe(16)
        return {"error": error}


def missing(parameter: str) -> MetaError:
    return MetaError(100, message=f"(#100) The parameter {parameter} is required.")


def wrong(parameter: str, must: str) -> MetaError:
    return MetaError(100, message=f"(#100) Param {parameter} must {must}")


def invalid_value(details: str) -> MetaError:
    return MetaError(131009, details=details)
