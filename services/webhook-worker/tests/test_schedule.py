"""When a failed delivery is tried again."""

from datetime import UTC, datetime, timedelta

import pytest
from webhook_worker.schedule import CHANCE, next_delay, read_retry_after
from webhook_worker.settings import WebhookSettings

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_schedule_takes_days_and_then_ends() -> None:
    seconds = WebhookSettings().webhook_retry_seconds
    waits = [next_delay(tries, seconds, None) for tries in range(1, len(seconds) + 2)]
    assert waits.pop() is None
    total = sum((wait for wait in waits if wait is not None), timedelta(0))
    assert timedelta(days=2) < total < timedelta(days=4)
    for wait, plain in zip(waits, seconds, strict=True):
        assert wait is not None
        assert plain * (1 - CHANCE) <= wait.total_seconds() <= plain * (1 + CHANCE)
    assert len({next_delay(3, seconds, None) for _ in range(20)}) > 1, "chance is in it"


def test_what_the_endpoint_asks_for_counts_if_it_is_longer() -> None:
    assert next_delay(1, (10.0,), timedelta(hours=1)) == timedelta(hours=1)
    shorter = next_delay(1, (3600.0,), timedelta(seconds=1))
    assert shorter is not None
    assert shorter > timedelta(minutes=40)
    assert next_delay(2, (10.0,), timedelta(hours=1)) is None


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("0", timedelta(0)),
        (" 120 ", timedelta(minutes=2)),
        ("99999999999999999999", DAY),
        ("Sun, 22 Nov 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Sun, 22 Nov 2026 11:00:00 GMT", timedelta(0)),
        ("Sun, 22 Nov 2099 11:00:00 GMT", DAY),
        ("Sun, 22 Nov 2026 12:05:00", timedelta(minutes=5)),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, wait: timedelta | None) -> None:
    assert read_retry_after(text, NOW) == wait
