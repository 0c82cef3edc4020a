"""`python -m whatsapp_worker`."""

from mirsal_runtime.app import connector_app
from mirsal_runtime.endings import told_faults

from whatsapp_worker.main import connector

if __name__ == "__main__":
    with told_faults():
        connector_app(connector).run()
