"""What a group of updates and upserts comes to."""

from sheets_worker.changing import cells_of, plan_changes
from sheets_worker.header import Header
from sheets_worker.jobs import Job
from sheets_worker.rows import Row

HEADER = Header(("Phone", "City", "_mirsal_row_key"))


def job(key: str, phone: str, city: str) -> Job:
    cells = {"Phone": phone, "City": city}
    return Job(("upsert", "Phone"), Row(key, "w", cells), 10.0, cells=cells)


async def test_a_job_that_left_the_group_changes_no_cell() -> None:
    first, second, other = job("a", "1", "x"), job("b", "1", "y"), job("c", "2", "z")
    changes = plan_changes("Phone", {"1": 2, "2": 3}, [first, second, other])
    assert [row for _, row in changes.changed] == [2, 2, 3]
    all_cells = cells_of(HEADER, changes.changed)
    assert (all_cells[2, 1], all_cells[3, 1]) == ("y", "z")
    assert cells_of(HEADER, changes.changed[:1]) == {(2, 0): "1", (2, 1): "x"}
