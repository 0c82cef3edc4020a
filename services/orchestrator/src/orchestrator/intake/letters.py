"""Records that cannot be dealt with, on their way to the dead letters."""

from mirsal_contracts.topics import DEAD_LETTERS_ORCHESTRATOR_V1
from mirsal_runtime import metrics
from mirsal_runtime.broker import Outgoing
from mirsal_runtime.dead_letters import Letter, dead_letter_of

from orchestrator.intake.records import Record

TEXTS = {
    "no_value": "the record has no value",
    "unknown_type": "this release knows no messages of that type on this topic",
    "invalid_json": "the value is no JSON",
    "invalid_message": "the value is not as the topic's schema says",
    "invalid_id": "an id is no UUID in its canonical form",
    "unknown_run": "there is no such run",
    "foreign_status": "it is of no execution of the run that it names",
    "unstorable": "what follows from it cannot be stored: the run has failed",
    "internal_error": "what follows from it could not be decided: the run has failed",
    "hopeless": "what follows from it cannot be stored, and the run's failure neither",
}


def to_dead_letter(record: Record, reason: str, prefix: str) -> Outgoing:
    """The record as it came, with the reason and where it came from in headers."""
    topic = record.topic.removeprefix(prefix)
    metrics.DEAD_LETTERS.labels(topic, reason).inc()
    letter = Letter(
        topic, record.partition, record.offset, record.key, record.value, tuple(record.headers)
    )
    return dead_letter_of(
        letter, DEAD_LETTERS_ORCHESTRATOR_V1.name, reason, TEXTS.get(reason, reason)
    )
