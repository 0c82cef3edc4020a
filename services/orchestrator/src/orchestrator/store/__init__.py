"""The orchestrator's tables. Only here is SQL spoken; no decision is made here."""
