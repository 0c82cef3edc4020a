"""What every message has in common: camelCase JSON and CloudEvents attributes as Kafka headers.

The binary mode of the CloudEvents Kafka binding: the attributes travel as `ce_` headers, the
message's value is the data alone.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.alias_generators import to_camel

Headers: TypeAlias = list[tuple[str, bytes]]
JsonObject: TypeAlias = dict[str, JsonValue]

CONTENT_TYPE = b"application/json"


class Message(BaseModel):
    """A value on the wire: immutable, camelCase, blind to members that a newer writer added."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore"
    )

    TYPE: ClassVar[str] = ""

    def to_json(self) -> bytes:
        """The message's value for Kafka."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True, exclude_none=True)


class Envelope(NamedTuple):
    """The attributes of one message, apart from its data.

    `subject` is the run's id. The remaining ids let a consumer name what a message that it
    cannot read was about.
    """

    id: str
    type: str
    source: str
    subject: str
    workspace: str
    time: str = ""
    traceparent: str = ""
    execution_id: str = ""
    command_id: str = ""
    workflow_id: str = ""
    node_id: str = ""
    connector: str = ""

    def to_headers(self) -> Headers:
        """The envelope as Kafka headers; attributes that are empty are left out."""
        return [
            ("ce_specversion", b"1.0"),
            ("content-type", CONTENT_TYPE),
            *[(name, value.encode()) for name, value in zip(HEADER_NAMES, self) if value],  # noqa: B905 - as many as fields
        ]

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes | None]]) -> "Envelope":
        """Read what is there; a missing attribute is empty, broken UTF-8 is replaced."""
        found: Mapping[str, str] = {
            FIELD_OF_HEADER[name]: value.decode("utf-8", "replace")
            for name, value in headers
            if name in FIELD_OF_HEADER and value is not None
        }
        return _EMPTY._replace(**found)


HEADER_NAMES: tuple[str, ...] = (
    "ce_id",
    "ce_type",
    "ce_source",
    "ce_subject",
    "ce_workspace",
    "ce_time",
    "traceparent",
    "ce_executionid",
    "ce_commandid",
    "ce_workflowid",
    "ce_nodeid",
    "ce_connector",
)
FIELD_OF_HEADER: Mapping[str, str] = dict(zip(HEADER_NAMES, Envelope._fields, strict=True))
_EMPTY = Envelope(id="", type="", source="", subject="", workspace="")
