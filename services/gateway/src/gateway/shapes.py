"""What all models of the REST API share: camelCase on the wire, strict going in."""

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

ID_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.:@+~-]{0,127}$"
Identifier: TypeAlias = Annotated[
    str,
    Field(description="A-Z a-z 0-9 _ . : @ + ~ -, beginning with a letter, a digit or _."),
    StringConstraints(pattern=ID_PATTERN),
]


class Question(BaseModel):
    """A body that comes in: a member that nobody knows is a mistake of the caller's."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, extra="forbid")


class Answer(BaseModel):
    """A body that goes out: all members are always there, null where nothing is known."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    def to_json(self) -> bytes:
        """The body."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True)
