"""How the code runner runs code: `MIRSAL_CODE_*`."""

import os
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from mirsal_contracts.nodes.code import CodeLimits
from mirsal_runtime.log_lines import faults_of
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from code_runner.lockdown import MANDATORY, PARTS, Part

Seconds = Annotated[float, Field(gt=0, le=10)]
Megabytes = Annotated[int, Field(ge=64, le=512)]


class Allowed(NamedTuple):
    """What one run may use."""

    seconds: float
    megabytes: int


class WorkspaceLimits(BaseModel):
    """What the runs of one workspace get (`seconds`, `memoryMb`) where their node asks for
    nothing, the most that a node may ask for, and how many may run at a time in a process.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True
    )

    seconds: Seconds = 1.0
    memory_mb: Megabytes = 128
    max_seconds: Seconds = 10.0
    max_memory_mb: Megabytes = 256
    boxes: Annotated[int, Field(ge=1)] | None = None


Workspaces = TypeAdapter(dict[str, WorkspaceLimits])


class CodeSettings(BaseSettings):
    """Read from the environment.

    `boxes`: how many runs at a time; one process each, and a spare. `guests_dir`: the folder with
    the guests (default: the cache's). `seconds` and `memory_mb` are what a run may use where its
    node asks for nothing, `max_seconds` and `max_memory_mb` what a node may ask for at most.
    `workspaces`, or the JSON file `workspaces_file`, has other limits for single workspaces:
    {"acme": {"seconds": 2, "maxSeconds": 5, "boxes": 1}}; what is not named there is as for all,
    and nothing is above the installation's own maxima. `do_without`: mandatory parts of the wall
    that may be missing, by name.
    """

    model_config = SettingsConfigDict(
        env_prefix="MIRSAL_CODE_", extra="ignore", hide_input_in_errors=True
    )

    boxes: Annotated[int, Field(ge=2, le=256)] = max(4, 2 * (os.cpu_count() or 1))
    guests_dir: Path | None = None
    seconds: Seconds = 1.0
    memory_mb: Megabytes = 128
    max_seconds: Seconds = 10.0
    max_memory_mb: Megabytes = 256
    workspaces: dict[str, WorkspaceLimits] = Field(default_factory=dict)
    workspaces_file: Path | None = None
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

    @model_validator(mode="after")
    def _read_file(self) -> Self:
        if self.workspaces_file is None:
            return self
        if self.workspaces:
            raise ValueError("give MIRSAL_CODE_WORKSPACES or its file, not both")
        try:
            self.workspaces = Workspaces.validate_json(self.workspaces_file.read_bytes())
        except OSError as error:
            raise ValueError("MIRSAL_CODE_WORKSPACES_FILE cannot be read") from error
        except ValidationError as error:
            raise ValueError(f"MIRSAL_CODE_WORKSPACES_FILE: {faults_of(error)}") from None
        return self

    def boxes_of(self, workspace: str) -> int:
        """How many runs of the workspace may go on at a time: never all boxes."""
        found = self.workspaces.get(workspace)
        wanted = self.boxes if found is None or found.boxes is None else found.boxes
        return min(wanted, self.boxes - 1)

    def allow(self, workspace: str, asked: CodeLimits) -> Allowed:
        """What a run of the workspace may use whose node asks for so much."""
        given = self.workspaces.get(workspace)
        own = {} if given is None else given.model_dump(exclude_unset=True)
        seconds = asked.seconds or own.get("seconds", self.seconds)
        memory = asked.memory_mb or own.get("memory_mb", self.memory_mb)
        return Allowed(
            min(seconds, own.get("max_seconds", self.max_seconds), self.max_seconds),
            min(memory, own.get("max_memory_mb", self.max_memory_mb), self.max_memory_mb),
        )
