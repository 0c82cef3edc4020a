"""The bodies of the control calls."""

from mirsal_contracts.controls import Verdict
from pydantic import Field

from gateway.shapes import Answer, Question


class Decide(Question):
    """What became of an execution that rests."""

    verdict: Verdict = Field(
        description="`sent`: it happened. `resend`: make another attempt, even if that one "
        "happened. `give_up`: it fails."
    )


class ControlAccepted(Answer):
    """Accepted: Kafka has it. What comes of it shows in the run."""

    control_id: str
    run_id: str
    status_url: str
