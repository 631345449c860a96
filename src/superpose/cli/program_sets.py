"""`superpose program-sets`: run here, submit, list, show, values, download, remove."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.file_jobs import FileJobFace, add_file_job_commands, check_folder, fetched, followed
from superpose.cli.output import note, print_json, print_table
from superpose.errors import CircuitFormatError, ProgramSetError, RequestError

if TYPE_CHECKING:
    from superpose.circuits import GridResult, ProgramSet, ProgramSetResult
    from superpose.client import SubmittedSet

__all__ = ["app"]

app = typer.Typer(
    name="program-sets",
    help="Many circuits with many values in one submission.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A program set: .json or .npz.")]
OutputOption = Annotated[Path | None, typer.Option("--output", help="Save all results here (.zip).", metavar="PATH")]

SHOWN: Final = 20
_PLACE: Final = re.compile(r"(-?\d{1,18})?(:(-?\d{1,18})?)?(:(-?\d{1,18}))?", re.ASCII)


@app.command("run")
def run_here(
    file: FileArgument,
    output: OutputOption = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the sampling.", metavar="N", min=0)] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a program set on this machine.

    Needs no service. Pieces that fail are tried again; what stays without
    results is told, and the rest is kept.
    """
    from superpose.facade import run

    check_folder(output)
    result = run(read_set(file), seed=seed)
    if output is not None:
        _save(result, output)
    if as_json:
        print_json({**_facts(result), "path": None if output is None else str(output.absolute())})
    else:
        _tell(result)


@app.command()
def submit(  # noqa: PLR0913  # one parameter per option
    file: FileArgument,
    output: OutputOption = None,
    backend: Annotated[str, typer.Option(help="Backend of the service.", metavar="NAME")] = "local",
    priority: Annotated[int, typer.Option(help="-10 to 10; higher starts first.", metavar="N")] = 0,
    after: Annotated[
        list[str] | None, typer.Option(help="Begin once this job has succeeded; may be given again.", metavar="JOB")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Submit and return at once.")] = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a program set on a service, as a durable job.

    Pieces that are done survive a crash of the worker; see the values with
    `superpose program-sets values ID`.
    """
    given = read_set(file)
    if not detach:
        check_folder(output)
    with connect(url, key_file) as client:
        made = client.program_sets.create(given, backend=backend, priority=priority, after=after or ())
        if not detach:
            note(f"job {made.id}: {made.n_bindings:,} bindings in {made.n_pieces:,} pieces")
            made = followed(client, client.program_sets, made.id)
            if output is not None:
                fetched(client.program_sets, made.id, output, "program-sets")
            if not as_json:
                _tell(client.program_sets.result(made.id))
    if as_json:
        print_json({**made.to_dict(), "path": None if detach or output is None else str(output.absolute())})
    elif detach:
        typer.echo(f"submitted {made.id}; see it with: superpose program-sets show {made.id}")


@app.command()
def values(
    source: Annotated[str, typer.Argument(metavar="ID|FILE", help="Id of a program set, or a file of results (.zip).")],
    grid: Annotated[str, typer.Option(help="The grid, by place from 0 or by name.", metavar="N|NAME")] = "0",
    at: Annotated[str, typer.Option(help='Places such as "3", "0:10" or "0:10,2", as NumPy has it.')] = "...",
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print values of one grid; only the pieces that hold them are fetched."""
    from superpose.circuits import ProgramSetResult

    index = parse_index(at)
    if Path(source).suffix == ".zip":
        found = _values(_grid_of(ProgramSetResult.open(source), grid), index)
    else:
        with connect(url, key_file) as client:
            found = _values(_grid_of(client.program_sets.result(source), grid), index)
    if as_json:
        print_json({"grid": grid, "at": at, "values": found})
    else:
        print_json(found)


def read_set(file: Path) -> ProgramSet:
    """The program set in a file.

    Raises:
        CircuitFormatError: it cannot be read, or holds none.
    """
    from superpose.circuits import program_set_from_json, program_set_from_npz

    if file.suffix.lower() not in (".json", ".npz"):
        raise CircuitFormatError(f"{file} is not named .json or .npz (superpose.program_set); rename it.")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CircuitFormatError(f"{file} cannot be read: {error.strerror or error}.") from None
    return program_set_from_npz(content) if file.suffix.lower() == ".npz" else program_set_from_json(content)


def parse_index(text: str) -> tuple[Any, ...]:
    """Places such as ``3``, ``0:10``, ``...,1`` as an index."""
    places: list[Any] = []
    for part in text.replace(" ", "").split(","):
        match = _PLACE.fullmatch(part)
        if part == "...":
            places.append(Ellipsis)
        elif match is None or part == "":
            raise typer.BadParameter(f'{text!r} is not a list of places such as "3", "0:10" or "0:10,2"')
        elif ":" in part:
            places.append(slice(*(int(number) if number else None for number in part.split(":"))))
        else:
            places.append(int(part))
    return tuple(places)


def _grid_of(result: ProgramSetResult, grid: str) -> GridResult:
    if grid in result.names:
        return result[grid]
    if not re.fullmatch(r"-?[0-9]{1,9}", grid) or not -len(result) <= int(grid) < len(result):
        raise ProgramSetError(f"There is no grid {grid!r}; there are {len(result)}, from 0, and names {result.names}.")
    return result[int(grid)]


def _values(grid: GridResult, index: tuple[Any, ...]) -> Any:
    """What a grid has at an index, in JSON values; complex numbers are [re, im]."""
    import numpy as np

    found = next(a for a in (grid.expectations, grid.counts, grid.state_vectors) if a is not None)
    try:
        taken = found[index]
    except IndexError as error:
        raise ProgramSetError(f"--at: {error}.") from None
    if isinstance(taken, dict):
        return taken
    array = np.asarray(taken)
    return (np.stack([array.real, array.imag], axis=-1) if array.dtype.kind == "c" else array).tolist()


def _facts(result: ProgramSetResult) -> dict[str, Any]:
    grids = [
        {"name": one.name, "shape": list(one.shape), "answers": facts.answers, "n_failed": len(one.failures)}
        for one, facts in zip(result, result.facts, strict=True)
    ]
    failures = [failure.to_json() for failure in result.failures]
    return {"grids": grids, "failures": failures, "provenance": dict(result.provenance)}


def _tell(result: ProgramSetResult) -> None:
    """Each grid in a line; failures on stderr."""
    rows = [
        (place, facts.name, "x".join(map(str, facts.shape)) or "1", facts.answers.replace("_", " "), len(one.failures))
        for place, (one, facts) in enumerate(zip(result, result.facts, strict=True))
    ]
    print_table(("grid", "name", "shape", "answers", "failed"), rows[:SHOWN], right=("grid", "failed"))
    if len(rows) > SHOWN:
        note(f"and {len(rows) - SHOWN} more grids; --json has all")
    for failure in result.failures[:SHOWN]:
        note(f"no results: {failure}")
    if len(result.failures) > SHOWN:
        note(f"and {len(result.failures) - SHOWN} more pieces; --json has all")


def _tell_failures(found: SubmittedSet) -> None:
    for failure in (found.result or {}).get("failures", [])[:SHOWN]:
        where = f"grid {failure['grid']}, bindings {failure['start']}..{failure['stop'] - 1}"
        note(f"no results: {where}: {failure['message']}")


def _save(result: ProgramSetResult, output: Path) -> None:
    try:
        result.save(output)
    except OSError as error:
        raise RequestError(f"{output} cannot be written: {error.strerror}.", path=str(output)) from error


add_file_job_commands(
    app,
    FileJobFace(
        title="program set",
        jobs=lambda client: client.program_sets,
        columns=(("grids", "bindings", "pieces", "failed"), ("grids", "bindings", "pieces", "failed")),
        row=lambda one: (one.n_grids, one.n_bindings, one.n_pieces, one.n_failed),
        members=lambda one: {
            "backend": one.backend,
            "bindings": f"{one.n_bindings:,} in {one.n_grids:,} grids",
            "pieces": f"{one.n_pieces:,}, {one.n_failed:,} failed",
            "progress": one.progress.get("stage"),
        },
        tell=_tell_failures,
    ),
)
