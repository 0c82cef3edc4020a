"""`python -m whatsapp_worker`."""

from mirsal_runtime.app import connector_app

from whatsapp_worker.main import connector

if __name__ == "__main__":
    connector_app(connector).run()
