"""`python -m code_runner`."""

from mirsal_runtime.app import connector_app

from code_runner.main import SERVICE, connector, settings_of

if __name__ == "__main__":
    connector_app(connector, settings_of(), service=SERVICE).run()
