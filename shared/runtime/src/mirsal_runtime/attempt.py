"""What a connector's function is given: one attempt of one node."""

from typing import Protocol

from mirsal_contracts.commands import RunNode


class Attempt(Protocol):
    """One attempt. The function that serves it does three things, in this order:

    1. makes everything ready, so that only the write to the provider is left (message built,
       connection open; for mail even the recipients accepted);
    2. awaits `claim()`, exactly once;
    3. writes at once, and returns the result or raises one of `mirsal_runtime.failures`.

    What is raised before the claim is known to have had no effect, whatever its type: an
    exception that is not of `failures` becomes a `RetryableError`. After the claim an exception
    that is not of `failures`, a time-out or a cancellation among them, becomes `OutcomeUnknown`.
    """

    @property
    def command(self) -> RunNode:
        """The command that asked for the attempt."""

    @property
    def traceparent(self) -> str:
        """W3C trace context of this attempt, for the provider's request; may be empty."""

    async def claim(self) -> float:
        """Ask the ledger for the right to have the effect.

        Returns the seconds left in which the call must end. Raises `ClaimRefused`, which the
        function must let pass, if the effect happened already, is another's, or comes too late.
        """


class ClaimRefused(Exception):
    """The effect must not happen now; the runtime deals with it, connectors let it pass."""
