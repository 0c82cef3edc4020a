"""How the code runner runs code: `MIRSAL_CODE_*`."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from code_runner.lockdown import MANDATORY, PARTS, Part

Seconds = Annotated[float, Field(gt=0, le=10)]


class CodeSettings(BaseSettings):
    """Read from the environment.

    `boxes`: how many runs at a time; one process each, and a spare. `guests_dir`: the folder with
    the guests (default: the cache's). `max_seconds`: what a node may ask for at most, and
    `workspace_seconds` for single workspaces: {"acme": 2}. `do_without`: mandatory parts of the
    wall that may be missing, by name.
    """

    model_config = SettingsConfigDict(env_prefix="MIRSAL_CODE_", extra="ignore")

    boxes: Annotated[int, Field(ge=2, le=256)] = max(4, 2 * (os.cpu_count() or 1))
    guests_dir: Path | None = None
    max_seconds: Seconds = 10.0
    workspace_seconds: dict[str, Seconds] = Field(default_factory=dict)
    max_memory_mb: Annotated[int, Field(ge=64, le=512)] = 256
    runs_per_box: Annotated[int, Field(ge=1)] = 5000
    do_without: Annotated[frozenset[Part], NoDecode] = frozenset()

    @field_validator("do_without", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            value = frozenset(each.strip() for each in value.split(",") if each.strip())
        if isinstance(value, frozenset) and not value <= set(PARTS):
            raise ValueError(f"names parts of the wall: {', '.join(sorted(MANDATORY))}")
        return value

    def cap_of(self, workspace: str) -> float:
        """The most seconds that a run of the workspace may last."""
        return min(self.max_seconds, self.workspace_seconds.get(workspace, self.max_seconds))
