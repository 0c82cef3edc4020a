"""`python -m sheets_worker`."""

from mirsal_runtime.app import connector_app
from mirsal_runtime.endings import told_faults

from sheets_worker.main import connector
from sheets_worker.process import SERVICE
from sheets_worker.settings import ProcessSettings

if __name__ == "__main__":
    with told_faults():
        connector_app(connector, ProcessSettings(), service=SERVICE).run()
