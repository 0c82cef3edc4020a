"""Google's BigQuery client in threads: one request a call, with deadlines, never its own retries.

Its default is to try again for ten minutes, with the caller's thread.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import requests
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud import bigquery

from sheets_worker.bigquery.errors import failure_in, failure_of, no_answer
from sheets_worker.bounded_answers import BoundedAdapter
from sheets_worker.settings import BigQuerySettings
from sheets_worker.threads import Threads

BIGQUERY_SCOPES: Final = ("https://www.googleapis.com/auth/bigquery",)
# What a thread may need beyond its sockets' deadlines.
MARGIN_SECONDS = 10.0
QUERY_SECONDS = 60.0

AnswerT = TypeVar("AnswerT")
SessionT = TypeVar("SessionT", bound=requests.Session)


class RowProblem(NamedTuple):
    """What BigQuery says of one row that it did not store."""

    row: int
    reason: str
    location: str
    message: str


class _Adapter(BoundedAdapter):
    """Connects within `connect_seconds`: Google's client knows one deadline for everything."""

    def __init__(self, connect_seconds: float, connections: int) -> None:
        super().__init__(connections)
        self._connect_seconds = connect_seconds

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        """See `BoundedAdapter.send`."""
        given = options.get("timeout")
        if isinstance(given, int | float):
            options["timeout"] = (min(self._connect_seconds, given), given)
        return super().send(request, *args, **options)


class BigQueryClient:
    """Calls BigQuery; every call has an end, and raises `AttemptFailure`."""

    def __init__(self, settings: BigQuerySettings, credentials: Callable[[], Credentials]) -> None:
        """`credentials` gives them as they are now; it is called in a thread."""
        self._settings = settings
        self._credentials = credentials
        self._threads = Threads(settings.threads, "bigquery")
        self._client: bigquery.Client | None = None
        self._used: Credentials | None = None

    async def insert(
        self, table: str, rows: Sequence[Mapping[str, Any]], row_ids: Sequence[str]
    ) -> list[RowProblem]:
        """Stream rows into a table, those that are wrong left out; what is wrong with those.

        A row that comes again under its id within about a minute is not stored twice.
        """

        def do(client: bigquery.Client) -> list[RowProblem]:
            found = client.insert_rows_json(
                table,
                rows,
                row_ids=row_ids,
                skip_invalid_rows=True,
                retry=None,  # type: ignore[arg-type] # as its text says: no retry
                timeout=self._settings.answer_seconds,
            )
            return [_read_problem(each) for each in found]

        return await self._call(do, stores=True)

    async def find_table(self, table: str) -> bigquery.Table:
        """Raises `TableMissing` where there is none."""
        return await self._call(lambda client: client.get_table(table, **self._options))

    async def make_table(self, table: bigquery.Table) -> bigquery.Table:
        """Raises `TableChanged` where it is there already, `TableMissing` without a dataset."""
        return await self._call(lambda client: client.create_table(table, **self._options))

    async def change_table(self, table: bigquery.Table) -> bigquery.Table:
        """Set its schema. Raises `TableChanged` where it is not any more what was read."""
        return await self._call(
            lambda client: client.update_table(table, ["schema"], **self._options)
        )

    async def make_dataset(self, dataset: bigquery.Dataset) -> None:
        """Raises `TableChanged` where it is there already."""
        await self._call(lambda client: client.create_dataset(dataset, **self._options))

    async def select(
        self, statement: str, parameters: Sequence[bigquery.ArrayQueryParameter]
    ) -> list[dict[str, Any]]:
        """The rows that a query finds."""

        def do(client: bigquery.Client) -> list[dict[str, Any]]:
            config = bigquery.QueryJobConfig(query_parameters=parameters)
            found = client.query_and_wait(
                statement,
                job_config=config,
                api_timeout=self._settings.answer_seconds,
                wait_timeout=QUERY_SECONDS,
                retry=None,  # type: ignore[arg-type] # as its text says: no retry
                job_retry=None,  # type: ignore[arg-type] # the same
            )
            return [dict(row.items()) for row in found]

        return await self._call(do, longer=QUERY_SECONDS)

    def close(self) -> None:
        """Close what is idle; calls that hang are left."""
        self._threads.close()
        if self._client is not None:
            self._client.close()

    @property
    def _options(self) -> dict[str, Any]:
        return {"retry": None, "timeout": self._settings.answer_seconds}

    async def _call(
        self,
        do: Callable[[bigquery.Client], AnswerT],
        *,
        stores: bool = False,
        longer: float = 0.0,
    ) -> AnswerT:
        def run() -> AnswerT:
            try:
                return do(self._open())
            except GoogleAPICallError as error:
                raise failure_of(error, stores=stores) from None
            # The client gives some of these the look of a wrong argument.
            except (requests.RequestException, GoogleAuthError, ValueError, OSError) as error:
                raise failure_in(error, stores=stores) from None

        seconds = self._settings.connect_seconds + self._settings.answer_seconds
        try:
            async with asyncio.timeout(seconds + MARGIN_SECONDS + longer):
                return await self._threads.run(run)
        except TimeoutError:
            raise no_answer("no thread had its answer in time", stores=stores) from None

    def _open(self) -> bigquery.Client:
        """The client of the credentials as they are now."""
        credentials = self._credentials()
        if self._client is None or self._used is not credentials:
            request = Request(self._mount(requests.Session()))
            session = AuthorizedSession(credentials, auth_request=request)
            self._client = bigquery.Client(
                project=self._settings.project,
                credentials=credentials,
                location=self._settings.location,
                client_options=ClientOptions(api_endpoint=self._settings.base_url),
                _http=self._mount(session),
            )
            self._used = credentials
        return self._client

    def _mount(self, session: SessionT) -> SessionT:
        """Without retries and proxies, and with a connection for each thread."""
        session.trust_env = False
        for scheme in ("https://", "http://"):
            adapter = _Adapter(self._settings.connect_seconds, self._settings.threads)
            session.mount(scheme, adapter)
        return session


def _read_problem(found: Mapping[str, Any]) -> RowProblem:
    """Of several errors of a row the one that says most."""
    errors = found.get("errors") or [{}]
    first = min(errors, key=lambda each: each.get("reason") == "stopped")
    return RowProblem(
        int(found["index"]),
        str(first.get("reason") or ""),
        str(first.get("location") or ""),
        str(first.get("message") or ""),
    )
