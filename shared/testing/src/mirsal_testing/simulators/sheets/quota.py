"""Google's quota: so many reads and writes a minute, for the project and for each user of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mirsal_testing.simulators.rulebook import WireModel
from mirsal_testing.simulators.sheets.accounts import PROJECT_NUMBER
from mirsal_testing.simulators.sheets.errors import GoogleError, quota_exceeded

Kind = Literal["read", "write"]


class QuotaLimits(WireModel):
    """Calls in each window; None is no limit. The 429 names the limit that was met."""

    reads_per_project: int | None = Field(default=300, ge=0)
    reads_per_user: int | None = Field(default=60, ge=0)
    writes_per_project: int | None = Field(default=300, ge=0)
    writes_per_user: int | None = Field(default=60, ge=0)
    window_seconds: float = Field(default=60.0, gt=0)

    def of(self, kind: Kind) -> tuple[int | None, int | None]:
        """For the project and for each user."""
        if kind == "read":
            return self.reads_per_project, self.reads_per_user
        return self.writes_per_project, self.writes_per_user


class Quota:
    """Counts in windows that begin anew each minute. Without limits nothing is refused."""

    def __init__(self) -> None:
        self.limits: QuotaLimits | None = None
        self._window = 0
        self._taken: dict[tuple[Kind, str], int] = {}

    def set(self, limits: QuotaLimits | None) -> None:
        self.limits = limits
        self._taken.clear()

    def take(self, kind: Kind, user: str, now: float) -> None:
        """Counts a call at `now` (seconds). Raises GoogleError 429, and then it does not count."""
        limits = self.limits
        if limits is None:
            return
        window = int(now // limits.window_seconds)
        if window != self._window:
            self._window = window
            self._taken.clear()
        project_limit, user_limit = limits.of(kind)
        for key, limit, per_user in (
            ((kind, f"user:{user}"), user_limit, True),
            ((kind, "project"), project_limit, False),
        ):
            if limit is not None and self._taken.get(key, 0) >= limit:
                raise _exceeded(kind, limit, per_user=per_user)
        for key in ((kind, f"user:{user}"), (kind, "project")):
            self._taken[key] = self._taken.get(key, 0) + 1


def _exceeded(kind: Kind, limit: int, *, per_user: bool) -> GoogleError:
    return quota_exceeded(kind, limit, per_user=per_user, project=PROJECT_NUMBER)
