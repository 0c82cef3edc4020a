"""`python -m code_runner`."""

from mirsal_runtime.app import connector_app
from mirsal_runtime.endings import told_faults

from code_runner.main import SERVICE, connector, settings_of

if __name__ == "__main__":
    with told_faults():
        connector_app(connector, settings_of(), service=SERVICE).run()
