"""The Google Sheets connector, put together."""

from mirsal_runtime.connector import Connector

from sheets_worker.params import SheetsParams, SheetsResult
from sheets_worker.process import Desk, check_account, open_desk, process_sheet

connector: Connector[SheetsParams, SheetsResult, Desk] = Connector(
    name="google_sheets",
    params=SheetsParams,
    result=SheetsResult,
    open=open_desk,
    send=process_sheet,
    check=check_account,
    repeatable=True,
)
