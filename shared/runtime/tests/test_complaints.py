"""Complaints: said at once, then seldom, and nothing is hidden."""

from mirsal_runtime.complaints import Complaint
from structlog.testing import capture_logs


def test_a_complaint_is_said_at_once_and_then_seldom() -> None:
    now = [100.0]
    complaint = Complaint("away", seconds=5.0, clock=lambda: now[0])
    with capture_logs() as lines:
        for moment in (100.0, 100.5, 104.9, 105.0, 105.1, 200.0):
            now[0] = moment
            complaint.say(reason=str(moment))
    assert [(line["reason"], line["left_out"]) for line in lines] == [
        ("100.0", 0),
        ("105.0", 2),
        ("200.0", 1),
    ]
    assert {(line["event"], line["log_level"]) for line in lines} == {("away", "warning")}
