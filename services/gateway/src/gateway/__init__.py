"""The REST gateway: workflows, leads, runs."""
