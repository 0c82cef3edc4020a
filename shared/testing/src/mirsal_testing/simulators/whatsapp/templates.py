"""Checks of template messages, and the registry of the templates that exist.

With nothing registered every name is taken, as long as the message is well formed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import Field

from mirsal_testing.simulators.rulebook import WireModel
from mirsal_testing.simulators.whatsapp.errors import MetaError, wrong
from mirsal_testing.simulators.whatsapp.members import Json, object_at, text_at

if TYPE_CHECKING:
    from collections.abc import Iterable

COMPONENTS = ("header", "body", "button", "carousel", "limited_time_offer", "order_status")
UNSENDABLE = re.compile(r"[\n\t\r]| {5,}")


class Template(WireModel):
    """A template as approved by Meta: its name, language and how many variables each part has."""

    name: str
    language: str
    header: int = Field(default=0, ge=0)
    body: int = Field(default=0, ge=0)
    buttons: int = Field(default=0, ge=0)


class TemplateRegistry:
    """The approved templates, by name and language."""

    def __init__(self, templates: Iterable[Template] = ()) -> None:
        self._templates = {(each.name, each.language): each for each in templates}

    def __iter__(self) -> Any:
        return iter(self._templates.values())

    def register(self, template: Template) -> None:
        self._templates[template.name, template.language] = template

    def clear(self) -> None:
        self._templates.clear()

    def check(self, name: str, language: str, counts: dict[str, int]) -> None:
        """Raises MetaError 132001 for an unknown template, 132000 for wrong variable counts."""
        if not self._templates:
            return
        template = self._templates.get((name, language))
        if template is None:
            raise MetaError(132001, details=f"template name ({name}) does not exist in {language}")
        for part, expected in (("header", template.header), ("body", template.body)):
            if counts[part] != expected:
                raise MetaError(
                    132000,
                    details=f"{part}: number of localizable_params ({counts[part]}) does not "
                    f"match the expected number of params ({expected})",
                )
        if counts["button"] < template.buttons:
            raise MetaError(
                131008,
                details=f"buttons: Button at index {counts['button']} of type Url requires a "
                "parameter",
            )


def check_template(payload: Json, registry: TemplateRegistry) -> None:
    template = object_at(payload, "template")
    name = text_at(template, "name", "template['name']", 512)
    language = object_at(template, "language", "template['language']")
    code = text_at(language, "code", "template['language']['code']")
    components = template.get("components", [])
    if not isinstance(components, list):
        raise wrong("template['components']", "be an array.")
    counts = dict.fromkeys(COMPONENTS, 0)
    for index, component in enumerate(components):
        kind, variables = _check_component(component, f"template['components'][{index}]")
        counts[kind] += 1 if kind == "button" else variables
    registry.check(name, code, counts)


def _check_component(component: object, path: str) -> tuple[str, int]:
    if not isinstance(component, dict):
        raise wrong(path, "be a JSON object.")
    kind = text_at(component, "type", f"{path}['type']").lower()
    if kind not in COMPONENTS:
        raise wrong(
            f"{path}['type']",
            f'be one of {{{", ".join(COMPONENTS).upper()}}} - got "{component["type"]}".',
        )
    parameters = component.get("parameters", [])
    if not isinstance(parameters, list):
        raise wrong(f"{path}['parameters']", "be an array.")
    for index, parameter in enumerate(parameters):
        _check_parameter(parameter, f"{path}['parameters'][{index}]")
    return kind, len(parameters)


def _check_parameter(parameter: object, path: str) -> None:
    if not isinstance(parameter, dict):
        raise wrong(path, "be a JSON object.")
    if text_at(parameter, "type", f"{path}['type']") != "text":
        return
    text = parameter.get("text")
    if not isinstance(text, str):
        raise MetaError(
            100, details="Parameter 'text' is mandatory for component parameter type 'text'"
        )
    if not text:
        raise MetaError(131008, details="Parameter of type text is missing text value")
    if UNSENDABLE.search(text):
        raise MetaError(
            132018,
            details="Param text cannot have new-line/tab characters or more than 4 "
            "consecutive spaces",
        )
