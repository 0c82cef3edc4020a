"""Rules that make a simulator misbehave: their list, how often each still applies, and chance.

What a rule matches and does is each simulator's own matter.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class WireModel(BaseModel):
    """JSON in camelCase; a member that nobody knows is refused, for it is a typing error."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Rule(WireModel):
    """The part that rules of all simulators share.

    `times` is how often it applies (None: always); `applied` counts and stays readable after
    the rule is spent, so that a test can prove that its fault really happened.
    """

    id: str = ""
    times: int | None = Field(default=None, ge=1)
    applied: int = Field(default=0, ge=0)

    @property
    def spent(self) -> bool:
        return self.times is not None and self.applied >= self.times


RuleT = TypeVar("RuleT", bound=Rule)


class RuleBook(Generic[RuleT]):
    """Rules in the order in which they were added. The seed makes chance repeat itself."""

    def __init__(self, kind: type[RuleT], seed: int = 0) -> None:
        self._kind = kind
        self._rules: list[RuleT] = []
        self._live: list[RuleT] = []
        self._random = random.Random(seed)  # noqa: S311 - repeatable chance, no secret
        self._last_id = 0

    def __iter__(self) -> Iterator[RuleT]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    @property
    def live(self) -> list[RuleT]:
        """The rules that still apply. Do not change the list."""
        return self._live

    def add(self, rule: RuleT | Mapping[str, object]) -> RuleT:
        """Takes a rule, or its JSON form. Raises pydantic.ValidationError for a wrong one."""
        parsed = rule if isinstance(rule, self._kind) else self._kind.model_validate(rule)
        self._last_id += 1
        parsed.id = str(self._last_id)
        parsed.applied = 0
        self._rules.append(parsed)
        self._live = [*self._live, parsed]
        return parsed

    def add_all(self, rules: Iterable[RuleT | Mapping[str, object]]) -> list[RuleT]:
        """All of them or, if one is wrong, none."""
        parsed = [
            rule if isinstance(rule, self._kind) else self._kind.model_validate(rule)
            for rule in rules
        ]
        return [self.add(rule) for rule in parsed]

    def remove(self, rule_id: str) -> bool:
        kept = [rule for rule in self._rules if rule.id != rule_id]
        found = len(kept) < len(self._rules)
        self._rules = kept
        self._live = [rule for rule in self._live if rule.id != rule_id]
        return found

    def clear(self) -> None:
        self._rules, self._live = [], []

    def spend(self, rule: RuleT) -> None:
        """Counts one use of a rule that matched."""
        rule.applied += 1
        if rule.spent:
            self._live = [live for live in self._live if live is not rule]

    def happens(self, probability: float | None) -> bool:
        return probability is None or self._random.random() < probability
