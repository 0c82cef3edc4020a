"""The benchmark's arithmetic: percentiles, ratios, bars, profiles, and lost or doubled messages."""

import subprocess
import sys

import pytest
from mirsal_contracts.commands import RunNode
from mirsal_contracts.requests import RunRequested
from mirsal_contracts.statuses import NODE_STATUS
from mirsal_testing.bench.figures import Figures, ProcessUse, Spread, middle, spread_of
from mirsal_testing.bench.profile import sum_up
from mirsal_testing.bench.raw.wire import (
    command_letters,
    request_letter,
    status_letters,
    step_of,
    text_of,
)
from mirsal_testing.bench.target import BenchError, read_message_ends
from mirsal_testing.bench.usage import Meter, Reading, share_of_others
from mirsal_testing.bench.verdict import (
    BARE,
    BARE_WITH_PROVIDER,
    LIMITED,
    NOOP,
    TRACED,
    WHATSAPP,
    busy_scenarios,
    check_bars,
    code_targets,
    compare,
)

RUN = "019aab00-0000-7000-8000-000000000001"


def make(target: str, scenario: str = "burst", rate: float = 300, others: float = 0) -> Figures:
    spread = Spread(p50=20, p95=40, p99=90, max=120)
    return Figures(
        target=target,
        scenario=scenario,
        runs=100,
        seconds=1,
        runs_per_second=rate,
        to_end=spread,
        post=Spread(p50=2, p95=5, p99=60, max=70),
        cpu_ms_per_run=4,
        processes={"gateway": ProcessUse(cpu_seconds=1, memory_bytes=1)},
        beside={},
        others_cpu_share=others,
    )


def test_percentiles_are_in_milliseconds() -> None:
    spread = spread_of([number / 1000 for number in range(1, 101)])
    assert (spread.p50, spread.p95, spread.p99, spread.max) == (51, 96, 100, 100)
    with pytest.raises(ValueError, match="no times"):
        spread_of([])


def test_the_median_burst_counts() -> None:
    assert middle([make(NOOP, rate=rate) for rate in (100, 900, 300)]).runs_per_second == 300


def test_ratios_compare_like_with_like() -> None:
    figures = [make(NOOP, rate=600), make(BARE, rate=1000), make(WHATSAPP), make(BARE, "50/s")]
    rates = {ratio.what: ratio.ratio for ratio in compare(figures)}
    assert rates["runs/s, burst, without providers"] == 0.6
    assert not [what for what in rates if "with providers" in what]


def test_bars_are_met_or_missed() -> None:
    figures = [make(WHATSAPP, rate=300), make(WHATSAPP, "50/s"), make(BARE_WITH_PROVIDER)]
    passed = {bar.what: bar.passed for bar in check_bars(figures)}
    assert passed["burst, runs/s"]
    assert not passed["burst, runs/s (aim)"]
    assert passed["50/s, p99 to the second message in ms"]
    assert not passed["50/s, p99 of the POST in ms"]


def test_code_is_compared_with_its_boxes_and_held_to_its_bars() -> None:
    ours, bare = code_targets("python")
    slow, _ = code_targets("javascript")
    figures = [make(ours), make(bare, rate=400), make(ours, "20/s"), make(slow)]
    assert {ratio.what: ratio.ratio for ratio in compare(figures)}[
        "runs/s, burst, python code"
    ] == 0.75
    passed = {bar.what: bar.passed for bar in check_bars(figures)}
    assert passed == {
        "python code, runs/s": True,
        "python code, 20/s, from command to status in ms, p50": False,
        "python code, 20/s, from command to status in ms, p99": False,
        "javascript code, runs/s": False,
    }


@pytest.mark.parametrize(("rate", "passes"), [(950, True), (890, False)])
def test_tracing_may_cost_a_tenth_of_a_burst(rate: float, *, passes: bool) -> None:
    figures = [make(WHATSAPP, rate=1000), make(WHATSAPP + TRACED, rate=rate)]
    passed = {bar.what: bar.passed for bar in check_bars(figures) if "tracing" in bar.what}
    assert passed == {
        "full tracing, burst: % fewer runs/s": passes,
        "full tracing, burst: % more CPU a run (aim)": True,
    }


@pytest.mark.parametrize(("p99", "passes"), [(49.0, True), (51.0, False)])
def test_a_counted_post_is_answered_in_time(p99: float, *, passes: bool) -> None:
    spread = Spread(p50=1, p95=2, p99=p99, max=p99)
    figures = [make(NOOP + LIMITED, "200/s").model_copy(update={"post": spread})]
    (bar,) = check_bars(figures)
    assert ("limits" in bar.what, bar.passed) == (True, passes)


def test_a_busy_machine_is_noticed() -> None:
    before, after = Reading({}, machine=10, time=0), Reading({}, machine=13, time=2)
    assert share_of_others(before, after, ours=3) == 0
    assert share_of_others(before, after, ours=1) > 0.1
    assert busy_scenarios([make(NOOP), make(BARE, others=0.3)]) == [make(BARE, others=0.3)]


def test_a_message_that_came_twice_makes_the_measurement_worthless() -> None:
    calls = [(1.0, text_of(0, RUN)), (2.0, text_of(1, RUN))]
    assert read_message_ends(calls) == {RUN: 2.0}
    with pytest.raises(BenchError, match="twice"):
        read_message_ends([*calls, (3.0, text_of(1, RUN))])


@pytest.mark.parametrize("provider", [True, False])
def test_bare_messages_are_what_the_contracts_say(*, provider: bool) -> None:
    value, headers = request_letter(provider=provider).write(RUN.encode())
    request = RunRequested.model_validate_json(value)
    assert request.run_id == RUN
    assert ("ce_subject", RUN.encode()) in headers
    for step, letter in enumerate(command_letters(provider=provider)):
        command = RunNode.model_validate_json(letter.write(RUN.encode())[0])
        assert (command.run_id, step_of(command.node_id)) == (RUN, step)
        assert RUN in str(command.config)
    for letter in status_letters(provider=provider):
        assert NODE_STATUS.validate_json(letter.write(RUN.encode())[0]).run_id == RUN


def test_samples_are_summed_by_function() -> None:
    stacks = "main (a.py:1);work (a.py:2);parse (b.py:7) 6\nmain (a.py:1);work (a.py:3) 4\n"
    alone, with_calls = sum_up(stacks)
    assert alone[0] == ("parse (b.py)", 0.6)
    assert dict(with_calls)["main (a.py)"] == 1.0
    assert dict(with_calls)["work (a.py)"] == 1.0


def test_a_process_that_ended_makes_the_measurement_worthless() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    meter = Meter({"worker": child.pid})
    before = meter.read(now=0)
    assert meter.uses(before, meter.read(now=1))["worker"].memory_bytes > 0
    child.communicate(b"\n")
    with pytest.raises(BenchError, match="worker"):
        meter.read(now=2)
