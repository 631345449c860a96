"""Options that choose a backend, and the table that says why it was chosen."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from superpose.cli.output import console, note, show, table

if TYPE_CHECKING:
    from superpose.backends.selection import Objective, Selection
    from superpose.circuits import Program, ProgramResult

__all__ = [
    "AmongOption",
    "Asked",
    "KindOption",
    "MaxPriceOption",
    "MaxWaitOption",
    "MinFidelityOption",
    "ObjectiveOption",
    "ProviderOption",
    "RegionOption",
    "run_chosen",
    "show_decision",
]

ObjectiveName = Literal["cheapest", "best", "soonest", "weighted"]
ObjectiveOption = Annotated[
    ObjectiveName | None, typer.Option(help="What auto goes by [default: weighted].", show_default=False)
]
MinFidelityOption = Annotated[
    float | None, typer.Option(help="For auto: least probability of a shot without error.", metavar="P", min=0, max=1)
]
MaxPriceOption = Annotated[
    float | None, typer.Option(help="For auto: most that the run may cost.", metavar="USD", min=0)
]
MaxWaitOption = Annotated[float | None, typer.Option(help="For auto: longest wait.", metavar="SECONDS", min=0)]
KindOption = Annotated[
    list[str] | None,
    typer.Option(help="For auto: simulator, emulator or qpu, repeatable [default: simulator, qpu].", metavar="KIND"),
]
ProviderOption = Annotated[
    list[str] | None, typer.Option(help="For auto: only this provider, repeatable.", metavar="NAME")
]
RegionOption = Annotated[list[str] | None, typer.Option(help="For auto: only this region, repeatable.", metavar="NAME")]
AmongOption = Annotated[
    list[str] | None, typer.Option(help="For auto: only this backend, repeatable [default: all].", metavar="NAME")
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say."""

    objective: ObjectiveName | None
    min_fidelity: float | None
    max_price: float | None
    max_wait: float | None
    kinds: list[str] | None
    providers: list[str] | None
    regions: list[str] | None
    among: list[str] | None

    @property
    def anything(self) -> bool:
        """Whether any option was given."""
        values = (self.objective, self.min_fidelity, self.max_price, self.max_wait)
        return any(value is not None for value in values) or any((self.kinds, self.providers, self.regions, self.among))

    def selection(self) -> Selection:
        """The selection that they mean.

        Raises:
            DecisionError: a kind that is none.
        """
        from superpose.backends.selection import Constraints, Selection

        kinds: Any = frozenset(self.kinds) if self.kinds else Constraints().kinds  # which Constraints checks
        return Selection(
            objective=self._objective(),
            constraints=Constraints(
                providers=frozenset(self.providers) if self.providers else None,
                regions=frozenset(self.regions) if self.regions else None,
                kinds=kinds,
                min_fidelity=self.min_fidelity,
                max_price_usd=self.max_price,
                max_wait_s=self.max_wait,
            ),
            among=self.among,
        )

    def _objective(self) -> Objective:
        from superpose.backends.selection import Best, Cheapest, Soonest, Weighted

        if self.objective == "cheapest":
            return Cheapest() if self.min_fidelity is None else Cheapest(min_fidelity=self.min_fidelity)
        if self.objective == "best":
            return Best(max_price_usd=self.max_price)
        return Soonest() if self.objective == "soonest" else Weighted()


def run_chosen(program: Program, backend: str, asked: Asked, *, why: bool, waits: Path | None = None) -> ProgramResult:
    """The result from where the options choose; with ``why`` the decision is shown first, on stderr.

    Waits in a file are what the choice rests on, and this run's is appended to them.

    Raises:
        BadParameter: Options that choose beside a backend that is named.
        NoBackendFitsError: None will do.
    """
    from superpose.backends.estimates import Knowledge, read_waits, recording_waits
    from superpose.backends.selection import AutoBackend

    if backend != "auto":
        raise typer.BadParameter("--why and options for auto choose a backend; give --backend auto with them")
    selection = asked.selection()
    if waits is not None and waits.exists():
        selection = replace(selection, knowledge=Knowledge(waits=tuple(read_waits(waits)), now=datetime.now(UTC)))
    runner = AutoBackend(selection, prepare=None if waits is None else lambda found: recording_waits(found, waits))
    decision = runner.decide(program)
    if why:
        show_decision(decision.to_json())
    return runner.run(program)


def show_decision(decision: dict[str, Any]) -> None:
    """Print the candidates in their order on stderr: what is expected of each, or why it is out."""
    out = console(sys.stderr)
    known = {one["name"]: one for one in decision["candidates"]}
    rows = [
        (
            verdict["rank"],
            verdict["name"],
            known[verdict["name"]]["fidelity"],
            known[verdict["name"]]["price_usd"],
            known[verdict["name"]]["wait_s"],
            "" if verdict["rank"] is not None else " ".join(verdict["reasons"]),
        )
        for verdict in decision["verdicts"]
    ]
    show(out, table(("", "backend", "fidelity", "price/$", "wait/s", "out because"), rows))
    note(decision["why"])
