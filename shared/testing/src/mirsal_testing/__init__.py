"""Real servers, provider simulators and test suites for Mirsal."""
