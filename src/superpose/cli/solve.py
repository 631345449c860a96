"""`superpose solve`: a problem from logistics, by a quantum method and by others beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption
from superpose.cli.output import console, note, paragraph, print_json, show, table, unwritten
from superpose.errors import ProblemFormatError

if TYPE_CHECKING:
    from superpose.optimization import Answer

__all__ = ["solve"]


def solve(  # noqa: PLR0913  # one parameter per option
    problem: Annotated[
        str,
        typer.Argument(
            metavar="FILE|KIND",
            help="A .tsp, .vrp, Gset, knapsack, job-shop or .json file; or an example: maxcut, knapsack, tsp, cvrp, "
            "jobshop.",
            show_default=False,
        ),
    ],
    method: Annotated[str, typer.Option(help="qaoa, vqe, annealing or classical.", metavar="NAME")] = "qaoa",
    layers: Annotated[int, typer.Option(help="Layers of the circuit.", metavar="N", min=1)] = 2,
    mixer: Annotated[str, typer.Option(help="Of QAOA: x, xy (one-hot), warm, or auto.", metavar="NAME")] = "auto",
    start: Annotated[str, typer.Option(help="First angles of QAOA: ramp or interp.", metavar="NAME")] = "ramp",
    shots: Annotated[int, typer.Option(help="Measurements.", metavar="N", min=1)] = 1000,
    cvar: Annotated[
        float | None, typer.Option(help="Minimise the mean of this share of best shots.", metavar="SHARE")
    ] = None,
    backend: Annotated[str, typer.Option(help="Where circuits run.", metavar="NAME")] = "local",
    max_qubits: Annotated[int, typer.Option(help="Larger problems are solved in pieces.", metavar="N")] = 16,
    max_rounds: Annotated[int, typer.Option(help="Pieces, at most.", metavar="N", min=1)] = 200,
    time_limit: Annotated[float, typer.Option(help="For each method by itself.", metavar="SECONDS")] = 10.0,
    penalty_scale: Annotated[
        float, typer.Option(help="Weights of constraints over the proven ones.", metavar="FACTOR")
    ] = 1.0,
    reference: Annotated[float | None, typer.Option(help="Best objective known.", metavar="VALUE")] = None,
    seed: Annotated[int, typer.Option(help="Of all that is random.", metavar="N", min=0)] = 0,
    compare: Annotated[bool, typer.Option("--compare/--alone", help="Run controls and a classical solver too.")] = True,
    plot: Annotated[Path | None, typer.Option(help="Draw routes or schedule, .png or .svg.", metavar="FILE")] = None,
    as_json: JsonOption = False,
) -> None:
    """Solve a problem from logistics, with controls.

    Only feasible solutions are returned, with the gap to the optimum or bound.
    Beside the method: the same with a classical subsolver and with coin flips,
    simulated annealing, and an exact or strong classical solver.
    """
    from superpose.cli.following import ProgressView
    from superpose.optimization import Progress, read_problem
    from superpose.optimization import solve as solved
    from superpose.optimization.examples import EXAMPLES, example

    if problem not in EXAMPLES and not Path(problem).suffix and not Path(problem).exists():
        raise ProblemFormatError(
            f"{problem} is neither a file nor an example; examples are {', '.join(EXAMPLES)}, files end in .tsp, .vrp "
            "or .json, or hold a graph, a knapsack or a job shop as text."
        )
    model = example(problem) if problem in EXAMPLES else read_problem(Path(problem), reference=reference)
    if reference is not None:
        model.reference = reference
    if plot is not None:
        from superpose.optimization.plots import check_drawable

        check_drawable(model, plot)
    options: dict[str, Any] = {
        "layers": layers, "mixer": mixer, "start": start, "shots": shots, "cvar": cvar, "backend": backend,
        "max_qubits": max_qubits, "max_rounds": max_rounds, "time_limit_s": time_limit,
        "penalty_scale": penalty_scale, "seed": seed, "compare": compare,
    }  # fmt: skip
    try:
        with ProgressView(console(sys.stderr), before=f"preparing {method}") as view:

            def tell(progress: Progress) -> None:
                view.tell(progress.to_json())

            answer = solved(model, method, on_progress=tell, **options)  # type: ignore[arg-type]  # checked there
    except KeyboardInterrupt:
        note(f"\n{model.name}: interrupted; what the methods had found by then is not kept")
        raise
    if as_json:
        print_json(answer.to_json())
    else:
        show_answer(answer)
    if plot is not None:
        from superpose.optimization.plots import plot_solution

        try:
            plot_solution(model, answer, plot)
        except OSError as error:
            raise unwritten(plot, error, "The solution is printed all the same.") from None
        if not as_json:
            note(f"{plot}: written")


def show_answer(answer: Answer) -> None:
    """Print the solution, the table of methods, the penalties and the verdict."""
    out = console()
    aim = "minimise" if answer.sense == "min" else "maximise"
    out.print(f"{answer.name}: {answer.kind}, {answer.n_variables} variables, {aim}", markup=False)
    rows = [
        (
            row.method,
            None if row.value is None else f"{row.value:.10g}",
            None if row.gap_percent is None else f"{row.gap_percent:.2f} %",
            f"{row.seconds:.2f} s",
            row.n_rounds or None,
            None if row.share_feasible is None else f"{100 * row.share_feasible:.1f} %",
            "yes" if row.feasible else "no",
        )
        for row in answer.rows
    ]
    header = ("method", "value", "gap", "time", "pieces", "drawn feasible", "feasible")
    show(out, table(header, rows, right=header[1:6]))
    for row in answer.rows:
        if row.reason:
            note(f"{row.method}: {row.reason}")
    if answer.yardstick is not None:
        out.print(f"gap to the {answer.yardstick}, {answer.yardstick_value:.10g}", markup=False)
    if answer.bound is not None:
        out.print(f"bound: {answer.bound:.10g}", markup=False)
    for name, value in (answer.rows[0].solution or {}).items():
        paragraph(out, f"{name}: {value}")
    for term in (answer.penalties or {}).get("terms", ()):
        rounded = (
            "" if term["rounded_to"] is None else f", coefficients rounded up to multiples of {term['rounded_to']:g}"
        )
        slack = f", {term['n_slack']} slack bits" if term["n_slack"] else ""
        paragraph(out, f"{term['constraint']}: weight {term['weight']:g}{slack}{rounded}; {term['bound']}")
    for reason in (answer.penalties or {}).get("reasons", ()):  # a service of an older release gives none
        note(f"the best bit string may not be the best solution: {reason}")
    paragraph(out, answer.verdict)
