"""`python -m mirsal_testing.simulators.sheets`"""

from mirsal_testing.simulators.process import run
from mirsal_testing.simulators.sheets.settings import SheetsSimulatorSettings

if __name__ == "__main__":
    run(SheetsSimulatorSettings().make_simulator())
