"""A simulator of the BigQuery API: `bqemulator` behind what Google does and it does not."""

from mirsal_testing.simulators.bigquery.client import BigQuerySimulatorClient
from mirsal_testing.simulators.bigquery.emulator import Emulator
from mirsal_testing.simulators.bigquery.record import Call, StoredRow
from mirsal_testing.simulators.bigquery.rules import BigQueryRule
from mirsal_testing.simulators.bigquery.simulator import BigQuerySimulator
from mirsal_testing.simulators.bigquery.tables import Behaviour

__all__ = [
    "Behaviour",
    "BigQueryRule",
    "BigQuerySimulator",
    "BigQuerySimulatorClient",
    "Call",
    "Emulator",
    "StoredRow",
]
