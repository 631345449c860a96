"""`superpose functions`: deploy, list, show, call, logs, rollback, delete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import age, note, print_json, print_table, section
from superpose.errors import RequestError

if TYPE_CHECKING:
    from superpose.client import CallAnswer, QuantumFunction

__all__ = ["app"]

app = typer.Typer(
    name="functions", help="Quantum functions: circuits behind names.", no_args_is_help=True, rich_markup_mode=None
)
NameArgument = Annotated[str, typer.Argument(metavar="FUNCTION", help="Name of the function.")]
VersionOption = Annotated[int | None, typer.Option("--version", help="Version [default: the one in use].", metavar="N")]


@app.command()
def deploy(  # noqa: PLR0913  # one parameter per option
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .qasm, .json, .quil, .qs or .py file.")],
    name: Annotated[str | None, typer.Option(help="Function [default: the file's name].", metavar="NAME")] = None,
    shots: Annotated[
        int | None, typer.Option(help="Measurements; 0 is exact [default: what the file says].", metavar="N", min=0)
    ] = None,
    observable: Annotated[
        list[str] | None, typer.Option(help="Pauli text such as ZZ, qubit 0 leftmost. Repeatable.", metavar="PAULIS")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="Where the circuit runs [default: local].", metavar="NAME")
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a function of a circuit, or a new version of one."""
    with connect(url, key_file) as client:
        made = client.functions.deploy(file, name, shots=shots, observables=observable, backend=backend)
        address = client.url + made.url
    if as_json:
        print_json(made.to_dict())
    else:
        typer.echo(f"{made.name}: version {made.version} answers at {address}")


@app.command("list")
def list_functions(url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List the project's functions."""
    with connect(url, key_file) as client:
        found = client.functions.list()
    if as_json:
        print_json([function.to_dict() for function in found])
        return
    rows = [
        (f.name, f.version, f.toolkit, f.n_qubits, len(f.parameters), _measured(f), _python(f), age(f.created_at))
        for f in found
    ]
    header = ("function", "version", "toolkit", "qubits", "parameters", "answers", "python", "age")
    print_table(header, rows, right=("version", "qubits", "parameters"))


@app.command()
def show(
    function: NameArgument,
    source: Annotated[bool, typer.Option("--source", help="Print the file of the version.")] = False,
    version: VersionOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a function: its circuit, input and versions."""
    with connect(url, key_file) as client:
        if source:
            text = client.functions.source(function, version)
            print_json({"source": text}) if as_json else typer.echo(text, nl=not text.endswith("\n"))
            return
        found, versions = client.functions.get(function), client.functions.versions(function)
        address = client.url + found.url
    if as_json:
        print_json({**found.to_dict(), "versions": [one.to_dict() for one in versions]})
        return
    section(
        {
            "name": found.name,
            "version": f"{found.version} of {found.n_versions}",
            "file": f"{found.file_name} ({found.toolkit})",
            "circuit": f"{found.n_qubits} qubits, {found.n_instructions} instructions on {found.backend}",
            "parameters": ", ".join(found.parameters) or "none",
            "answers": _measured(found),
            "python": _python(found),
            "input": json.dumps(found.input_schema) if found.input_schema else "any JSON",
            "url": address,
            "deployed": found.created_at,
        }
    )
    typer.echo()
    rows = [(one.version, one.file_name, one.digest[:12], age(one.created_at)) for one in versions]
    print_table(("version", "file", "digest", "age"), rows, right=("version",))


@app.command()
def call(  # noqa: PLR0913  # one parameter per option
    function: NameArgument,
    given: Annotated[
        str | None, typer.Option("--input", help="JSON, or @FILE with JSON [default: {}].", metavar="JSON")
    ] = None,
    version: VersionOption = None,
    shots: Annotated[int | None, typer.Option(help="Instead of the function's.", metavar="N", min=1)] = None,
    seed: Annotated[int | None, typer.Option(help="Of the sampling.", metavar="N", min=0)] = None,
    submit: Annotated[bool, typer.Option("--submit", help="Have a job make the call, and do not wait.")] = False,
    job: Annotated[str | None, typer.Option(help="Tell of the call that this job makes.", metavar="JOB")] = None,
    timeout: Annotated[float | None, typer.Option(help="Longest wait in seconds.", metavar="SECONDS")] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Call a function and print its output."""
    value = _input(given)
    options: dict[str, Any] = {"version": version, "shots": shots, "seed": seed}
    with connect(url, key_file) as client:
        if job is not None:
            answer = client.functions.get_call(function, job)
        elif submit:
            answer = client.functions.submit(function, value, **options)
        else:
            answer = client.functions.call(function, value, **options, timeout_s=timeout)
    _say(answer, as_json)


@app.command()
def logs(
    function: NameArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Show what the function's own Python printed in its last calls."""
    with connect(url, key_file) as client:
        found = client.functions.logs(function)
    if as_json:
        print_json([one.to_dict() for one in found])
        return
    for one in found:
        typer.echo(f"{one.at:%Y-%m-%dT%H:%M:%SZ} version {one.version}")
        for line in [*one.logs.splitlines(), *([str(one.error.get("message"))] if one.error else [])]:
            typer.echo(f"  {line}")


@app.command()
def rollback(
    function: NameArgument,
    version: Annotated[int | None, typer.Option(help="Version [default: the one before].", metavar="N")] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an older version answer again."""
    with connect(url, key_file) as client:
        changed = client.functions.rollback(function, version)
    if as_json:
        print_json(changed.to_dict())
    else:
        typer.echo(f"{changed.name}: version {changed.version} answers")


@app.command()
def delete(
    function: NameArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Delete a function with all its versions."""
    with connect(url, key_file) as client:
        client.functions.delete(function)
    if as_json:
        print_json({"deleted": function})
    else:
        typer.echo(f"deleted function {function}")


def _say(answer: CallAnswer, as_json: bool) -> None:
    if as_json:
        print_json(answer.to_dict())
        return
    for line in answer.logs.splitlines():
        note(line)
    if answer.status == "succeeded":
        typer.echo(json.dumps(answer.output, indent=2, ensure_ascii=False))
    elif answer.error:
        typer.echo(f"{answer.status}: {answer.error.get('message')}")
    else:
        again = f"superpose functions call {answer.function} --job {answer.job_id}"
        typer.echo(f"{answer.status} as job {answer.job_id}; look again with: {again}")


def _input(given: str | None) -> Any:
    if given is None:
        return {}
    text, source = given, "--input"
    if given.startswith("@"):
        source = given[1:]
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise RequestError(f"{source} cannot be read: {error}.", field="input") from None
    try:
        return json.loads(text)
    except ValueError as error:
        raise RequestError(f"{source} is not JSON: {error}.", field="input") from None


def _measured(function: QuantumFunction) -> str:
    shots = "exact" if function.shots is None else f"{function.shots:,} shots"
    what = f"{len(function.observables)} expectations" if function.observables else "counts"
    return f"{what}, {shots}"


def _python(function: QuantumFunction) -> str | None:
    return " and ".join(name for name, there in (("pre", function.pre), ("post", function.post)) if there) or None
