"""`python -m mirsal_testing.simulators.bigquery`"""

from mirsal_testing.simulators.bigquery.settings import BigQuerySimulatorSettings
from mirsal_testing.simulators.process import run

if __name__ == "__main__":
    run(BigQuerySimulatorSettings().make_simulator())
