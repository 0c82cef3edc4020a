"""What every Mirsal process runs on: broker, worker, ledger, telemetry."""
