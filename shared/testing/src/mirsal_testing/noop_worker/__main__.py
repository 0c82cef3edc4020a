"""`python -m mirsal_testing.noop_worker`."""

from typing import Annotated

from mirsal_runtime.app import connector_app
from mirsal_runtime.endings import told_faults
from mirsal_runtime.settings import ConnectorSettings
from pydantic import Field

from mirsal_testing.noop_worker.connector import connector


class NoopSettings(ConnectorSettings):
    """Nothing is waited for, so as many at a time as Kafka gives at once."""

    slots: Annotated[int, Field(ge=1, le=1000)] = 500


if __name__ == "__main__":
    with told_faults():
        connector_app(connector, NoopSettings()).run()
