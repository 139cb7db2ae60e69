"""The page of a running agent: what it does, what it knows, and how far that can be trusted."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jinja2
from aiohttp import web

from mpc_agent.codec import to_json
from mpc_agent.estimate_reasons import with_deviation
from mpc_agent.record import BatchHeader, CycleRecord
from mpc_agent.report.panel import pretty_title, pretty_unit
from mpc_agent.report.plan_tables import Plans
from mpc_agent.report.plan_words import banded
from mpc_agent.report.tables import EventRow, day_of
from mpc_agent.report.trust import Trust

NEWEST_EVENTS = 30
"""Events that the page shows; all of them are in the record."""

_HERE = Path(__file__).parent
_REPORT = _HERE.parent / "report"


@dataclass(frozen=True)
class Shown:
    """One output that people look at first."""

    label: str
    value: str
    unit: str


class StatusPage:
    """Sees every finished cycle and shows the newest one at `/`."""

    def __init__(self, header: BatchHeader) -> None:
        """Begin with nothing to show.

        Args:
            header: names and units of the batch; of its times nothing is shown before it was heard.
        """
        self._trust, self._plans = Trust(header), Plans(header)
        self._record: CycleRecord | None = None
        self._events: deque[EventRow] = deque(maxlen=NEWEST_EVENTS)
        self._text: str | None = None
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader([_HERE, _REPORT]),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = environment.get_template("status.html.j2")
        self._style = (_REPORT / "page.css").read_text("utf-8")

    def begin(self, header: BatchHeader) -> None:
        """Take over what the batch's record says of it, once it is open."""
        self._trust.header = self._plans.header = header
        self._text = None

    def see(self, record: CycleRecord) -> None:
        """Note a finished cycle."""
        self._record, self._text = record, None
        self._trust.see(record.decision.estimate)
        self._plans.see(record.decision.plans, record.decision.expected)
        for event in record.decision.events:
            when = day_of(self._trust.header, record.time_s)
            row = EventRow(when, str(event.severity), event.code, event.text, "agent")
            self._events.appendleft(row)

    @property
    def route(self) -> web.RouteDef:
        """Where the page is."""
        return web.get("/", self._show)

    @property
    def plan_route(self) -> web.RouteDef:
        """Where the explanations of the newest plans are, as JSON."""
        return web.get("/plan", self._explain)

    async def _explain(self, _request: web.Request) -> web.Response:
        told = {item.problem: item for item in self._plans.explanations()}
        return web.Response(text=to_json(told), content_type="application/json")

    async def _show(self, _request: web.Request) -> web.Response:
        # Made once a cycle, so that many readers cost the loop nothing.
        if self._text is None:
            self._text = self.page()
        return web.Response(text=self._text, content_type="text/html")

    def page(self) -> str:
        """The page as text."""
        header, record = self._trust.header, self._record
        facts: list[tuple[str, str]] = []
        if record is not None:
            read_at = datetime.fromtimestamp(record.time_s, UTC)
            facts = [
                ("Last cycle", f"{record.number}, {read_at:%Y-%m-%d %H:%M UTC}"),
                ("Since inoculation", day_of(header, record.time_s)),
                ("Model", header.model),
            ]
        return self._template.render(
            header=header,
            record=record,
            facts=facts,
            outputs=list(self._outputs()),
            plans=self._plans.content(),
            trust=self._trust.content(),
            events=list(self._events),
            style=self._style,
        )

    def _outputs(self) -> Iterator[Shown]:
        """What people look at first, estimated."""
        estimate, header = self._trust.last, self._trust.header
        if estimate is None:
            return
        for i, quantity in enumerate(header.outputs):
            if quantity.name in (*header.shown, "volume"):
                mean, deviation = float(estimate.outputs[i]), float(estimate.output_deviation[i])
                value = with_deviation(mean, deviation).replace("+/-", "\u00b1")
                yield Shown(pretty_title(quantity), value, pretty_unit(quantity.unit))
        for told in self._plans.explanations():
            if "plan" in told.expected:
                words = banded(told.expected["plan"], told.unit).split(" ")
                value, unit = " ".join(words[:3]), " ".join(words[3:])
                yield Shown("Product at harvest, 95 % band", value, unit)
