"""`superpose modules`: export, add, list, show, train, remove."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import age, print_json, print_table, removed, saved, section
from superpose.errors import ModuleExportError

if TYPE_CHECKING:
    from superpose.learning import ExportedModule

__all__ = ["app"]

app = typer.Typer(
    name="modules", help="Your own PyTorch modules, as data.", no_args_is_help=True, rich_markup_mode=None
)
ModuleArgument = Annotated[str, typer.Argument(metavar="MODULE", help="Name or id.")]
SourceArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="FILE.py:NAME (a class or function without arguments, or a module).")
]
ColumnsOption = Annotated[int | None, typer.Option(help="Columns that it takes.", metavar="N", min=1)]


@app.command()
def export(
    source: SourceArgument,
    columns: ColumnsOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.", metavar="PATH")] = None,
    as_json: JsonOption = False,
) -> None:
    """Export a module of a Python file, which runs here, to a file of data."""
    exported = exported_module(source, columns)
    target = exported.save(output or Path(f"{exported.name.lower()}.superpose-module"))
    if as_json:
        print_json({"path": str(target), **exported.describe()})
    else:
        typer.echo(f"{target}: {exported.name}, {exported.n_columns} columns to {exported.n_outputs} outputs")


@app.command()
def add(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="An exported module's file, or FILE.py:NAME.")],
    name: Annotated[str | None, typer.Option(help="Name in the project [default: its own].", metavar="NAME")] = None,
    columns: ColumnsOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Upload an exported module, or export one of a Python file and upload it."""
    made: Any = exported_module(source, columns) if ".py:" in source or source.endswith(".py") else source
    with connect(url, key_file) as client:
        found = client.modules.add(made, name=name)
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(
            f"{found.name}: {found.class_name}, {found.n_columns} columns to {found.n_outputs} outputs, "
            f"{found.n_params} parameters; id {found.id}"
        )


@app.command("list")
def list_modules(url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List the project's modules."""
    with connect(url, key_file) as client:
        found = client.modules.list()
    if as_json:
        print_json([module.to_dict() for module in found])
        return
    rows = [
        (m.name, m.class_name, m.n_columns, m.n_outputs, m.n_params, len(m.circuits), age(m.created_at)) for m in found
    ]
    header = ("name", "class", "columns", "outputs", "parameters", "circuits", "age")
    print_table(header, rows, right=("columns", "outputs", "parameters", "circuits"))


@app.command()
def show(
    module: ModuleArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Show a module."""
    with connect(url, key_file) as client:
        found = client.modules.get(module)
    if as_json:
        print_json(found.to_dict())
        return
    section(
        {
            "name": found.name,
            "id": found.id,
            "class": found.class_name,
            "columns": found.n_columns,
            "outputs": found.n_outputs,
            "parameters": f"{found.n_params}, of which {found.n_trainable} are trained",
            "circuits": ", ".join(f"{c['n_qubits']} qubits, {c['n_weights']} angles" for c in found.circuits) or None,
            "operators": ", ".join(found.operators),
            "digest": found.digest,
            "added": found.created_at,
        }
    )


@app.command()
def download(
    module: ModuleArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File or directory to write.", metavar="PATH")
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save a module's file."""
    with connect(url, key_file) as client:
        saved(lambda: client.modules.download(module, output), output, {"module": module}, as_json=as_json)


@app.command()
def remove(
    module: ModuleArgument, url: UrlOption = None, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Remove a module; models trained from it stay."""
    with connect(url, key_file) as client:
        client.modules.delete(module)
    removed(module, f"{module}", as_json=as_json)


@app.command()
def train(  # noqa: PLR0913  # one parameter per option
    module: ModuleArgument,
    dataset: Annotated[str, typer.Option(help="Name or id of the data set.", metavar="NAME")],
    loss: Annotated[
        str, typer.Option(help="cross_entropy, nll or binary_cross_entropy.", metavar="LOSS")
    ] = "cross_entropy",
    spec: Annotated[
        str | None, typer.Option(help="Training spec without the section model, YAML or JSON.", metavar="FILE")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the rows at most.", metavar="N", min=1)] = None,
    model: Annotated[
        str | None, typer.Option(help="Model to file it under [default: the data set's name].", metavar="NAME")
    ] = None,
    priority: Annotated[int, typer.Option(help="-10 to 10; higher starts first.", metavar="N")] = 0,
    after: Annotated[
        list[str] | None, typer.Option(help="Begin once this job has succeeded; may be given again.", metavar="JOB")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Submit and return at once.")] = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a module with its control and a baseline, and show the comparison."""
    from superpose.cli.train import finish, read_spec

    wanted = read_spec(spec) if spec else {}
    if epochs is not None:
        wanted["training"] = {**wanted.get("training", {}), "epochs": epochs}
    with connect(url, key_file) as client:
        job = client.modules.train(
            module, dataset=dataset, loss=loss, model=model, spec=wanted, priority=priority, after=after or ()
        )
        finish(client, job, detach=detach, as_json=as_json)


def exported_module(source: str, columns: int | None) -> ExportedModule:
    """Export what FILE.py:NAME names; the file's code runs in this process, which is the user's own.

    What that code prints goes to stderr, for stdout is the command's.

    Raises:
        ModuleExportError: there is no such file or name, its code fails, it is no module, or it cannot be exported.
    """
    path, colon, name = source.rpartition(":")
    file = Path(path or name).expanduser()
    if not file.is_file() or file.suffix != ".py":
        raise ModuleExportError(f"{file} is no Python file that is there; a module is named FILE.py:NAME.")
    if not colon or not name:
        raise ModuleExportError(f"Which module of {file}? Name it so: {file}:NAME.")
    with contextlib.redirect_stdout(sys.stderr):
        return _exported(file, name, columns)


def _exported(file: Path, name: str, columns: int | None) -> ExportedModule:
    import numpy as np
    import torch

    from superpose.learning import export_module

    made = importlib.util.spec_from_file_location(file.stem, file)
    if made is None or made.loader is None:
        raise ModuleExportError(f"{file} cannot be imported.")
    sys.path.insert(0, str(file.parent.absolute()))
    code = importlib.util.module_from_spec(made)
    with _named(file):
        made.loader.exec_module(code)
    found: Any = getattr(code, name, None)
    if found is None:
        raise ModuleExportError(f"{file} has no {name!r}.")
    if not isinstance(found, torch.nn.Module) and not callable(found):
        raise ModuleExportError(f"{name} of {file} is of type {type(found).__name__}, not a torch.nn.Module.")
    with _named(file):
        module = found if isinstance(found, torch.nn.Module) else found()
    if not isinstance(module, torch.nn.Module):
        raise ModuleExportError(f"{name} gave a {type(module).__name__}, not a torch.nn.Module.")
    width = columns or first_width(module)
    if width is None:
        raise ModuleExportError("How many columns the module takes is not known; say --columns N.")
    dtype = next((p.dtype for p in module.parameters()), torch.float32)
    return export_module(module, torch.from_numpy(np.zeros((1, width), dtype=np.float32)).to(dtype))


@contextlib.contextmanager
def _named(file: Path) -> Iterator[None]:
    """What the file's own code raises becomes an error that names the file, and where it is known the line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        lines = [
            at.lineno
            for at in traceback.extract_tb(error.__traceback__)
            if Path(at.filename).resolve() == file.resolve()
        ]
        where = f"{file} line {lines[-1]}" if lines else str(file)
        raise ModuleExportError(f"{where} failed: {type(error).__name__}: {error}") from error


def first_width(module: Any) -> int | None:
    """Inputs of the first linear layer, if the module has one."""
    import torch

    return next((int(part.in_features) for part in module.modules() if isinstance(part, torch.nn.Linear)), None)
