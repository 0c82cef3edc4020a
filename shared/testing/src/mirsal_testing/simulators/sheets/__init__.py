"""A simulator of the Google Sheets API (v4)."""

from mirsal_testing.simulators.sheets.client import SheetsSimulatorClient, TabRows
from mirsal_testing.simulators.sheets.library import TabSpec
from mirsal_testing.simulators.sheets.quota import QuotaLimits
from mirsal_testing.simulators.sheets.record import Call
from mirsal_testing.simulators.sheets.rules import SheetsRule
from mirsal_testing.simulators.sheets.simulator import SheetsSimulator

__all__ = [
    "Call",
    "QuotaLimits",
    "SheetsRule",
    "SheetsSimulator",
    "SheetsSimulatorClient",
    "TabRows",
    "TabSpec",
]
