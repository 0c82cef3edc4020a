"""How the dashboards' panels look: one way to draw a line, a number, a table of traces.

Which panels there are is in the module of each dashboard.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, table, text, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import VisibilityMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableModel,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.dashboard import Panel as PanelModel

PROMETHEUS: Final = DataSourceRef("prometheus", "prometheus")
JAEGER: Final = DataSourceRef("jaeger", "jaeger")
WIDTH: Final = 24
HEIGHT: Final = 8

PanelT = TypeVar("PanelT", timeseries.Panel, stat.Panel)
Panel = Builder[PanelModel]


def lines(
    title: str, unit: str, *queries: tuple[str, str], about: str = "", exemplars: bool = False
) -> Panel:
    """Series over time; each query is (PromQL, legend)."""
    panel = timeseries.Panel().span(WIDTH // 2).height(HEIGHT).fill_opacity(8).line_width(1)
    panel = panel.show_points(VisibilityMode.NEVER)
    return _asked(panel, title, unit, about, queries, exemplars=exemplars)


def number(
    title: str, unit: str, query: str, *, bad: float | None = None, about: str = "", wide: int = 4
) -> Panel:
    """One number now; red from `bad` on."""
    panel = stat.Panel().span(wide).height(4)
    limits = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE)
    steps = [_threshold("green", None)] + ([] if bad is None else [_threshold("red", bad)])
    panel = panel.thresholds(limits.steps(steps))
    return _asked(panel, title, unit, about, [(query, "")], exemplars=False)


def note(content: str, *, wide: int = WIDTH, high: int = 5) -> Panel:
    """Words, in Markdown."""
    return text.Panel().content(content).span(wide).height(high)


class JaegerQuery(Dataquery):
    """A query of Jaeger, which the SDK does not know: a search, or one trace."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    def to_json(self) -> dict[str, object]:
        """As Grafana's data source for Jaeger reads it."""
        return {"refId": "A", "datasource": JAEGER, **self._fields}


class _Query(Builder[Dataquery]):
    def __init__(self, **fields: object) -> None:
        self._fields = fields

    def build(self) -> Dataquery:
        return JaegerQuery(self._fields)


def traces(title: str, service: str, tags: str, about: str) -> Panel:
    """A table of the traces with a span of the service that has the tags; each is a link."""
    panel = table.Panel().span(WIDTH).height(HEIGHT).datasource(JAEGER)
    query = _Query(queryType="search", service=service, tags=tags, limit=50)
    return panel.title(title).description(about).with_target(query)


def trace(title: str, trace_id: str) -> Panel:
    """One trace, span by span."""
    panel = dashboard.Panel().type("traces").span(WIDTH).height(3 * HEIGHT).datasource(JAEGER)
    return panel.title(title).with_target(_Query(query=trace_id))


def choice(name: str, label: str, query: str) -> Builder[VariableModel]:
    """A variable whose values are a label's: one, some or all."""
    variable = dashboard.QueryVariable(name).label(label).datasource(PROMETHEUS).query(query)
    variable = variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    variable = variable.sort(VariableSort.ALPHABETICAL_ASC)
    return variable.multi(True).include_all(True).all_value(".*")


def entry(name: str, label: str) -> Builder[VariableModel]:
    """A variable that is written by hand."""
    return dashboard.TextBoxVariable(name).label(label)


def new_dashboard(uid: str, title: str, about: str) -> dashboard.Dashboard:
    """A dashboard without panels yet."""
    made = dashboard.Dashboard(title).uid(f"mirsal-{uid}").description(about).tags(["mirsal"])
    made = made.time("now-3h", "now").refresh("30s").timezone("browser").readonly()
    link = dashboard.DashboardLink("Mirsal").type(DashboardLinkType.DASHBOARDS).tags(["mirsal"])
    return made.link(link.as_dropdown(True).keep_time(True))


def _threshold(color: str, value: float | None) -> Threshold:
    return Threshold(color=color, value=value)


def _asked(
    panel: PanelT,
    title: str,
    unit: str,
    about: str,
    queries: Sequence[tuple[str, str]],
    *,
    exemplars: bool,
) -> PanelT:
    panel = panel.title(title).unit(unit).datasource(PROMETHEUS).description(about)
    for index, (query, legend) in enumerate(queries):
        asked = prometheus.Dataquery().expr(query).legend_format(legend)
        panel.with_target(asked.ref_id(chr(ord("A") + index)).exemplar(exemplars))
    return panel


def add_row(made: dashboard.Dashboard, title: str, panels: Sequence[Panel]) -> None:
    """A titled row, and its panels below it."""
    made.with_row(dashboard.Row(title))
    for panel in panels:
        made.with_panel(panel)
