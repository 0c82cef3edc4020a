"""`python -m sheets_worker`."""

from mirsal_runtime.app import connector_app

from sheets_worker.main import connector
from sheets_worker.process import SERVICE
from sheets_worker.settings import ProcessSettings

if __name__ == "__main__":
    connector_app(connector, ProcessSettings(), service=SERVICE).run()
