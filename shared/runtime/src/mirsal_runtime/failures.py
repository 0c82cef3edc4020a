"""What a connector raises to say what became of an attempt; each name says the remedy."""

from mirsal_contracts.message import JsonObject


class AttemptFailure(Exception):
    """An attempt's end that is not a success. `code` is stable; `message` says what to do."""

    def __init__(self, code: str, message: str, *, details: JsonObject | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details


class RetryableError(AttemptFailure):
    """Surely no effect; worth another try, not before `retry_after` seconds if given."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry_after: float | None = None,
        details: JsonObject | None = None,
    ) -> None:
        super().__init__(code, message, details=details)
        self.retry_after = retry_after


class ThrottledError(AttemptFailure):
    """Surely no effect: the provider or a limit of ours says "later". Costs no retry.

    `retry_after` is in seconds from now.
    """

    def __init__(
        self, code: str, message: str, *, retry_after: float, details: JsonObject | None = None
    ) -> None:
        super().__init__(code, message, details=details)
        self.retry_after = retry_after


class ActionRequired(AttemptFailure):
    """Surely no effect, and none until a person acts: a revoked token, an unpaid account."""


class PermanentError(AttemptFailure):
    """Surely no effect, now and for ever: the node fails. `outcome` is its class, if it has one."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: JsonObject | None = None,
        outcome: str | None = None,
    ) -> None:
        super().__init__(code, message, details=details)
        self.outcome = outcome


class OutcomeUnknown(AttemptFailure):
    """The request was written, and nobody can tell whether it took effect."""
