"""What may start a workflow by itself: stored and checked, not acted on yet."""

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from gateway.shapes import Question

_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def check_time_zone(name: str) -> str:
    """The name, if the tz database has it. Raises `ValueError`."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ValueError("is not a time zone: give an IANA name such as Asia/Riyadh") from error
    return name


def check_cron(expression: str) -> str:
    """The expression, if it has five fields that some moment satisfies. Raises `ValueError`."""
    if len(expression.split()) != 5:
        raise ValueError("is not a cron expression: minute hour day month weekday")
    try:
        next(CronSim(expression, _SOME_DAY))
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"is not a cron expression that ever comes due: {error}") from error
    return expression


TimeZone: TypeAlias = Annotated[str, Field(max_length=64), AfterValidator(check_time_zone)]
Cron: TypeAlias = Annotated[str, Field(max_length=200), AfterValidator(check_cron)]


class Schedule(Question):
    """At times that a cron expression gives."""

    type: Literal["schedule"]
    cron: Cron
    time_zone: TimeZone = "UTC"


class Webhook(Question):
    """When somebody calls the workflow's own URL."""

    type: Literal["webhook"]


class ApiCall(Question):
    """When a client of the API starts it."""

    type: Literal["api"]


class Event(Question):
    """When something happens to a lead."""

    type: Literal["event"]
    event: Annotated[str, Field(min_length=1, max_length=100)]


Trigger: TypeAlias = Annotated[Schedule | Webhook | ApiCall | Event, Field(discriminator="type")]
