"""A Google of two places, a sheet and BigQuery, with a worker between: what is where.

For tests of the service that writes rows. Nothing here knows that service.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
from mirsal_contracts.statuses import NodeFailed, NodeSucceeded
from mirsal_contracts.topics import NODE_STATUSES_V1

from mirsal_testing.commands import make_command
from mirsal_testing.simulators.sheets import TabSpec

if TYPE_CHECKING:
    from mirsal_contracts.commands import RunNode

    from mirsal_testing.simulators.bigquery import BigQuerySimulator
    from mirsal_testing.simulators.sheets import SheetsSimulator, SheetsSimulatorClient
    from mirsal_testing.worker_rig import WorkerRig

SPREADSHEET = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"
SHEET = "Leads"
ROW_KEY = "_mirsal_row_key"
WAIT_SECONDS = 20.0
ALL_CELLS = 10_000_000


class SheetWorld:
    """One worker, `rig`, and all that Google holds of one tab."""

    def __init__(
        self,
        rig: WorkerRig,
        google: SheetsSimulator,
        sheets: SheetsSimulatorClient,
        bigquery: BigQuerySimulator,
    ) -> None:
        self.rig = rig
        self.google = google
        self.sheets = sheets
        self.bigquery = bigquery

    async def in_sheet(self) -> list[str]:
        """The row keys in the sheet, as often as they are there."""
        tab = await self.sheets.tab(SPREADSHEET, SHEET)
        return [str(record[ROW_KEY]) for record in tab.records()]

    async def in_bigquery(self) -> list[dict[str, Any]]:
        """The rows that the one view in BigQuery shows; values as the API gives them."""
        project = f"/bigquery/v2/projects/{self.bigquery.project}"
        async with httpx.AsyncClient(
            base_url=self.bigquery.url, timeout=WAIT_SECONDS, trust_env=False
        ) as http:
            tables = (await http.get(f"{project}/datasets/mirsal/tables")).json()["tables"]
            names = [table["tableReference"]["tableId"] for table in tables]
            (view,) = [name for name in names if name.endswith("__rows")]
            statement = f"SELECT * FROM `{self.bigquery.project}.mirsal.{view}`"  # noqa: S608 - own
            query = {"query": statement, "useLegacySql": False, "maxResults": 100_000}
            found = (await http.post(f"{project}/queries", json=query)).json()
        columns = [field["name"] for field in found["schema"]["fields"]]
        return [
            dict(zip(columns, (cell["v"] for cell in row["f"]), strict=True))
            for row in found.get("rows", [])
        ]

    async def bigquery_keys(self) -> list[str]:
        return [str(row[ROW_KEY]) for row in await self.in_bigquery()]

    async def wait_for_rows(self, *commands: RunNode) -> None:
        """Until the sheet has the rows of these commands."""
        wanted = {command.execution_id for command in commands}
        async with asyncio.timeout(WAIT_SECONDS):
            while not wanted <= set(await self.in_sheet()):  # noqa: ASYNC110 - a server's state
                await asyncio.sleep(0.05)

    async def succeed(
        self, *commands: RunNode, rig: WorkerRig | None = None
    ) -> list[dict[str, Any]]:
        """Deliver commands; their outputs. AssertionError if one does not succeed."""
        rig = rig or self.rig
        before = len(rig.statuses)
        rig.deliver(*commands)
        async with asyncio.timeout(WAIT_SECONDS):
            # Counted without reading them: there may be a thousand.
            while len(rig.kafka.of(NODE_STATUSES_V1.name)) < before + len(commands):
                rig.kafka.news.clear()
                await rig.kafka.news.wait()
        found = {status.command_id: status for status in rig.statuses[before:]}
        outputs = []
        for command in commands:
            status = found[command.command_id]
            if not isinstance(status, NodeSucceeded):
                raise AssertionError(f"not succeeded: {status}")
            outputs.append(dict(status.output))
        return outputs

    async def fail(self, command: RunNode, rig: WorkerRig | None = None) -> NodeFailed:
        """Deliver a command; its failure. AssertionError if it does not fail."""
        status = await (rig or self.rig).run(command)
        if not isinstance(status, NodeFailed):
            raise AssertionError(f"not failed: {status}")
        return status


def append_row(number: int, **members: Any) -> RunNode:
    """A command that adds a row with this number; it is patient for a second."""
    config = {
        "operation": "append",
        "spreadsheetId": SPREADSHEET,
        "sheet": SHEET,
        "values": {"n": number, "الاسم": f"lead {number}"},
        "patienceSeconds": 1,
        **members,
    }
    return make_command("google_sheets", config, timeout_seconds=30)


def fill_workbook(google: SheetsSimulator, free: int) -> None:
    """A workbook with the header of such rows, three cells, and room for so many more."""
    header = ["n", "الاسم", ROW_KEY]
    google.add_spreadsheet(
        SPREADSHEET,
        [
            TabSpec(title=SHEET, rows=1, columns=3, values=[header]),
            TabSpec(title="Big", rows=ALL_CELLS - len(header) - free, columns=1),
        ],
    )
