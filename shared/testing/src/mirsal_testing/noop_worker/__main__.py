"""`python -m mirsal_testing.noop_worker`."""

from mirsal_runtime.app import connector_app

from mirsal_testing.noop_worker.connector import connector

if __name__ == "__main__":
    connector_app(connector).run()
