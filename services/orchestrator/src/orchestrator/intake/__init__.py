"""Events in, decisions out: read what Kafka has, decide, write, send, commit."""

from orchestrator.intake.loop import Intake

__all__ = ["Intake"]
