"""What Google's answers mean. One table; nothing here calls Google."""

from enum import StrEnum


class Code(StrEnum):
    """The failures of a write to Sheets, as `AttemptFailure.code` names them.

    `fallback` decides by these. In brackets: the kind of failure.
    """

    FULL = "sheets_full"
    """The workbook has as many cells as Google allows (`PermanentError`)."""
    TOO_LARGE = "sheets_too_large"
    """The request, now of this row alone, is larger than Google takes (`PermanentError`)."""
    CELL_TOO_LONG = "cell_too_long"
    """A cell has more than 50,000 characters (`PermanentError`; our own check)."""
    QUOTA = "sheets_quota"
    """Google, or our own count, says later (`ThrottledError`)."""
    UNAVAILABLE = "sheets_unavailable"
    """Google is away or in trouble; surely not written (`RetryableError`)."""
    NO_ANSWER = "sheets_no_answer"
    """Nobody can tell yet whether the row is in the sheet (`OutcomeUnknown`): it must not go
    anywhere else; its next attempt looks first."""
    NOT_FOUND = "sheets_not_found"
    """The spreadsheet is not there, or not shared with us (`ActionRequired`)."""
    NO_PERMISSION = "sheets_no_permission"
    """The spreadsheet, or the tab, is not shared for writing (`ActionRequired`)."""
    CREDENTIALS = "google_credentials"
    """The credentials are missing, wrong or revoked (`ActionRequired`): BigQuery's too."""
    INVALID_HEADER = "invalid_header"
    """The tab's first row is no header that rows could be written under (`ActionRequired`)."""
    REFUSED = "sheets_refused"
    """Google calls the request wrong (`PermanentError`)."""
