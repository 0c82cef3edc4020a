"""The table of each tab, with its view: made when first needed, widened when a column is new."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from google.cloud import bigquery
from mirsal_runtime.failures import ThrottledError
from mirsal_runtime.queries import load_queries

from sheets_worker.bigquery.client import BigQueryClient
from sheets_worker.bigquery.errors import (
    SHORT_SECONDS,
    BigQueryCode,
    TableChanged,
    TableMissing,
)
from sheets_worker.bigquery.names import (
    VALUES_COLUMN,
    VIEW_ENDING,
    Need,
    TableColumn,
    name_table,
    plan_columns,
)
from sheets_worker.rows import ROW_KEY_COLUMN, WRITTEN_AT_COLUMN, TabName
from sheets_worker.settings import BigQuerySettings

SQL: Final = load_queries("sheets_worker.bigquery")
TRIES: Final = 5
LONGEST_NAME: Final = 1024
OWN_FIELDS: Final = (
    bigquery.SchemaField(
        ROW_KEY_COLUMN, "STRING", "REQUIRED", description="The execution that wrote the row"
    ),
    bigquery.SchemaField(
        WRITTEN_AT_COLUMN, "TIMESTAMP", "REQUIRED", description="When it was written"
    ),
    bigquery.SchemaField(
        VALUES_COLUMN, "STRING", description="The row as it came, in JSON: for its way to the sheet"
    ),
)


class Tables:
    """The tables of one dataset. Every call raises `AttemptFailure`."""

    def __init__(self, client: BigQueryClient, settings: BigQuerySettings) -> None:
        self._client = client
        self._settings = settings
        self._known: dict[TabName, bigquery.Table] = {}
        self._locks: defaultdict[TabName, asyncio.Lock] = defaultdict(asyncio.Lock)

    def name(self, tab: TabName) -> str:
        """The table's full name."""
        return f"{self._settings.project}.{self._settings.dataset}.{name_table(tab)}"

    async def prepare(self, tab: TabName, needs: Sequence[Need]) -> Mapping[Need, str]:
        """Make and widen the table as far as needed; the column of each need."""
        async with self._locks[tab]:
            for _ in range(TRIES):
                table = self._known.get(tab) or await self._find_or_make(tab)
                plan = plan_columns(_columns_of(table), needs)
                if not plan.added:
                    self._known[tab] = table
                    return plan.names
                table.schema = [*table.schema, *map(_field, plan.added)]
                # Until it is known how it went: a change whose answer is lost may have happened.
                self._known.pop(tab, None)
                try:
                    self._known[tab] = await self._client.change_table(table)
                except TableChanged:
                    continue
        raise ThrottledError(
            BigQueryCode.CHANGED,
            "the table is being changed by others",
            retry_after=SHORT_SECONDS,
        )

    def forget(self, tab: TabName) -> None:
        """Look at the table again before it is used: it is not what it was."""
        self._known.pop(tab, None)

    async def _find_or_make(self, tab: TabName) -> bigquery.Table:
        name = self.name(tab)
        try:
            table = await self._client.find_table(name)
        except TableMissing:
            table = await self._make(tab, name)
        await self._have_view(name)
        return table

    async def _make(self, tab: TabName, name: str) -> bigquery.Table:
        table = bigquery.Table(name, schema=OWN_FIELDS)
        table.friendly_name = tab.sheet[:LONGEST_NAME]
        table.description = f"Rows of the tab {tab.sheet} of the spreadsheet {tab.spreadsheet_id}"
        table.clustering_fields = [ROW_KEY_COLUMN]
        try:
            return await self._client.make_table(table)
        except TableMissing:
            await self._make_dataset()
            return await self._make_or_find(table, name)
        except TableChanged:
            return await self._client.find_table(name)

    async def _make_or_find(self, table: bigquery.Table, name: str) -> bigquery.Table:
        try:
            return await self._client.make_table(table)
        except TableChanged:
            return await self._client.find_table(name)

    async def _make_dataset(self) -> None:
        dataset = bigquery.Dataset(f"{self._settings.project}.{self._settings.dataset}")
        dataset.location = self._settings.location
        try:
            await self._client.make_dataset(dataset)
        except TableChanged:
            return

    async def _have_view(self, name: str) -> None:
        """Asked for by each process once: who made the table may have died before the view."""
        view = bigquery.Table(f"{name}{VIEW_ENDING}")
        view.view_query = SQL["newest_rows"].replace("{table}", name)
        try:
            await self._client.make_table(view)
        except TableChanged:
            return


def _columns_of(table: bigquery.Table) -> list[TableColumn]:
    return [
        TableColumn(field.name, field.field_type, field.description or "") for field in table.schema
    ]


def _field(column: TableColumn) -> bigquery.SchemaField:
    return bigquery.SchemaField(column.name, column.type, description=column.header)
