"""The orchestrator: decides what each run does next."""
