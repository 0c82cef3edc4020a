"""What the figures say together: the ratios to the raw ceiling, and the bars; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mirsal_testing.bench.figures import Figures

NOOP, WHATSAPP = "Mirsal, noop", "Mirsal, WhatsApp"
TRACED, LIMITED = ", traced", ", limited"
LIMITED_RATE = "200/s"
TRACING_PERCENT = 10
BARE, BARE_WITH_PROVIDER = "bare, without provider", "bare, with provider"
BURST = "burst"
BUSY_SHARE = 0.10
CODE_RATE = 20
CODE_RATES: Final[Mapping[str, int]] = {"python": 200, "javascript": 350}
"""The languages that customers' code may be in, and how many runs a second are promised."""


class Ratio(BaseModel):
    """Mirsal's figure as a part or a multiple of the bare pipeline's."""

    what: str
    mirsal: float
    bare: float
    ratio: float


class Bar(BaseModel):
    """Something that is promised, and what was measured."""

    what: str
    promised: str
    measured: float
    passed: bool


def code_targets(language: str) -> tuple[str, str]:
    """The names of the code runner and of its ceiling, the boxes alone."""
    return f"Mirsal, {language} code", f"bare boxes, {language} code"


def compare(figures: Sequence[Figures]) -> list[Ratio]:
    """The ratios of all scenarios that both sides were measured in."""
    found = []
    pairs = {
        "without providers": (NOOP, BARE),
        "with providers": (WHATSAPP, BARE_WITH_PROVIDER),
        **{f"{language} code": code_targets(language) for language in CODE_RATES},
    }
    for side, (ours, bare) in pairs.items():
        for scenario in dict.fromkeys(each.scenario for each in figures):
            mine, other = _find(figures, ours, scenario), _find(figures, bare, scenario)
            if mine is None or other is None:
                continue
            if scenario == BURST:
                found.append(_ratio(f"runs/s, burst, {side}", mine, other, _rate))
            else:
                found.append(_ratio(f"p50 at {scenario}, {side}", mine, other, _p50))
                found.append(_ratio(f"p99 at {scenario}, {side}", mine, other, _p99))
            found.append(_ratio(f"CPU a run, {scenario}, {side}", mine, other, _cpu))
    return found


def check_bars(figures: Sequence[Figures]) -> list[Bar]:
    """What the platform promises on two cores; only what was measured is checked."""
    bars = []
    burst, paced = _find(figures, WHATSAPP, BURST), _find(figures, WHATSAPP, "50/s")
    if burst:
        bars.append(_at_least("burst, runs/s", 250, burst.runs_per_second))
        bars.append(_at_least("burst, runs/s (aim)", 400, burst.runs_per_second))
        bars.append(at_most("burst, CPU a run in ms (aim)", 5, burst.cpu_ms_per_run))
    bars += [
        _at_least("part of the raw ceiling without providers", 0.4, ratio.ratio)
        for ratio in compare(figures)
        if ratio.what == "runs/s, burst, without providers"
    ]
    if paced:
        bars.append(at_most("50/s, p50 to the second message in ms", 30, paced.to_end.p50))
        bars.append(at_most("50/s, p99 to the second message in ms", 100, paced.to_end.p99))
        bars.append(at_most("50/s, p99 of the POST in ms", 50, paced.post.p99))
    limited = _find(figures, NOOP + LIMITED, LIMITED_RATE)
    if limited:
        what = f"{LIMITED_RATE} with keys, limits and audit, p99 of the POST in ms"
        bars.append(at_most(what, 50, limited.post.p99))
    bars += _tracing_bars(figures)
    return bars + [bar for language in CODE_RATES for bar in _code_bars(figures, language)]


def _tracing_bars(figures: Sequence[Figures]) -> list[Bar]:
    """What it costs to have every span of every run recorded and sent."""
    plain, traced = _find(figures, WHATSAPP, BURST), _find(figures, WHATSAPP + TRACED, BURST)
    if plain is None or traced is None:
        return []
    slower = (1 - _rate(traced) / _rate(plain)) * 100
    dearer = (_cpu(traced) / _cpu(plain) - 1) * 100
    return [
        at_most("full tracing, burst: % fewer runs/s", TRACING_PERCENT, round(slower, 1)),
        at_most("full tracing, burst: % more CPU a run (aim)", TRACING_PERCENT, round(dearer, 1)),
    ]


def _code_bars(figures: Sequence[Figures], language: str) -> list[Bar]:
    target, _ = code_targets(language)
    burst, paced = _find(figures, target, BURST), _find(figures, target, f"{CODE_RATE}/s")
    bars = []
    if burst:
        least = CODE_RATES[language]
        bars.append(_at_least(f"{language} code, runs/s", least, burst.runs_per_second))
    if paced:
        what = f"{language} code, {CODE_RATE}/s, from command to status in ms"
        bars.append(at_most(f"{what}, p50", 20, paced.to_end.p50))
        bars.append(at_most(f"{what}, p99", 60, paced.to_end.p99))
    return bars


def busy_scenarios(figures: Sequence[Figures]) -> list[Figures]:
    """Those that other programs on the machine have disturbed."""
    return [each for each in figures if each.others_cpu_share > BUSY_SHARE]


def _find(figures: Sequence[Figures], target: str, scenario: str) -> Figures | None:
    hits = (each for each in figures if (each.target, each.scenario) == (target, scenario))
    return next(hits, None)


def _ratio(what: str, mine: Figures, other: Figures, of: Callable[[Figures], float]) -> Ratio:
    return Ratio(
        what=what, mirsal=of(mine), bare=of(other), ratio=round(of(mine) / (of(other) or 1e-9), 3)
    )


def _at_least(what: str, bound: float, measured: float) -> Bar:
    return Bar(
        what=what, promised=f"at least {bound:g}", measured=measured, passed=measured >= bound
    )


def at_most(what: str, bound: float, measured: float) -> Bar:
    """A bar that is passed below the bound."""
    return Bar(what=what, promised=f"under {bound:g}", measured=measured, passed=measured < bound)


def _rate(figures: Figures) -> float:
    return figures.runs_per_second


def _cpu(figures: Figures) -> float:
    return figures.cpu_ms_per_run


def _p50(figures: Figures) -> float:
    return figures.to_end.p50


def _p99(figures: Figures) -> float:
    return figures.to_end.p99
