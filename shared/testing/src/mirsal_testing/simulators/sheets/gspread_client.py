"""The unmodified gspread, sent to a simulator instead of to Google. For tests.

It is synchronous: from a coroutine it is called in a thread (`asyncio.to_thread`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gspread
from google.oauth2.credentials import Credentials as UserCredentials
from google.oauth2.service_account import Credentials as ServiceCredentials
from gspread.http_client import HTTPClient
from gspread.urls import SPREADSHEETS_API_V4_BASE_URL

from mirsal_testing.simulators.sheets.calls import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

SCOPES = ("https://www.googleapis.com/auth/spreadsheets",)
CALL_SECONDS = 10.0


def connect_gspread(
    url: str, credentials: Mapping[str, str], *, seconds: float = CALL_SECONDS
) -> gspread.Client:
    """A client of the simulator at `url`, for either JSON of its `credentials`.

    Every call ends within `seconds`.
    """
    # google-auth has no types.
    info = dict(credentials)
    if info["type"] == "service_account":
        login: Any = ServiceCredentials.from_service_account_info(info, scopes=SCOPES)
    else:
        # Its own reader of this JSON leaves out where the token comes from.
        login = UserCredentials(
            None,
            refresh_token=info["refresh_token"],
            token_uri=info["token_uri"],
            client_id=info["client_id"],
            client_secret=info["client_secret"],
        )
    client = gspread.authorize(login, http_client=_client_for(url))
    client.http_client.session.trust_env = False
    client.set_timeout(seconds)
    return client


def _client_for(url: str) -> type[HTTPClient]:
    class SimulatorHTTPClient(HTTPClient):
        """gspread builds its addresses from a constant: this is where they change."""

        def request(self, method: str, endpoint: str, *args: Any, **kwargs: Any) -> Any:
            path = endpoint.removeprefix(SPREADSHEETS_API_V4_BASE_URL)
            return super().request(method, f"{url}{ROOT}{path}", *args, **kwargs)

    return SimulatorHTTPClient
