"""All commands together, and what becomes of their errors."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperGroup

from superpose.cli import (
    audit,
    backends,
    backup,
    budgets,
    config,
    convert,
    datasets,
    diagnose,
    doctor,
    draw,
    endpoints,
    estimate,
    evaluate,
    explain,
    explain_circuit,
    functions,
    health,
    jobs,
    keys,
    modules,
    predict,
    predictions,
    program_sets,
    projects,
    promotion,
    prune,
    quickstart,
    report,
    run_program,
    serve,
    solutions,
    solve,
    sweeps,
    train,
    users,
    version,
    waits,
    webhooks,
    worker,
)
from superpose.cli.connection import trust_ca_file
from superpose.cli.output import report_error
from superpose.errors import ApiError, SuperposeError

__all__ = ["app", "run"]

USAGE: Final = 2
INTERRUPTED: Final = 130

_OF_THE_PATH: Final = frozenset(
    {
        errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.ELOOP,
        errno.ENAMETOOLONG, errno.EROFS,
    }
)  # fmt: skip
"""What is wrong with a file that the user named, not with superpose."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""A disk is full, or a limit for files is reached."""

_ORDER: Final = (
    "quickstart serve worker train sweep sweeps jobs datasets models modules deploy endpoints predict "
    "predict-file predictions explain evaluate report "
    "functions backends estimate waits run solve solutions program-sets convert draw explain-circuit diagnose "
    "projects budgets users keys webhooks audit config doctor health backup restore prune version"
)


class InOrder(TyperGroup):
    """Lists the commands in the order in which a newcomer meets them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, as ``_ORDER`` has them."""
        return sorted(super().list_commands(ctx), key=_ORDER.split().index)


app = typer.Typer(
    name="superpose",
    cls=InOrder,
    help="Hybrid quantum-classical machine learning as a service: train, deploy, predict, honestly compared.",
    epilog="Start with `superpose quickstart`. Every command takes --json and --help.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 80},
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    show_version: bool = typer.Option(False, "--version", help="Show the release and exit.", is_eager=True),
    ca_file: Path | None = typer.Option(  # noqa: B008  # Typer's form
        None,
        "--ca-file",
        metavar="PEM",
        help="Certificates to trust beside the system's, for an https service [env: SUPERPOSE_CA_FILE].",
    ),
) -> None:
    """What runs before every command."""
    if show_version:
        version.show_version(as_json=False)
        raise typer.Exit
    trust_ca_file(ca_file)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


app.command("quickstart")(quickstart.quickstart)
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.command("train")(train.train)
app.command("sweep")(sweeps.sweep)
app.add_typer(sweeps.app)
app.add_typer(jobs.app)
app.add_typer(datasets.app)
app.add_typer(promotion.app)  # the models commands, with those that registry.py, drift.py and promotion.py add
app.add_typer(modules.app)
app.command("deploy")(endpoints.deploy)
app.add_typer(endpoints.app)
app.command("predict")(predict.predict)
app.command("explain")(explain.explain)
app.command("evaluate")(evaluate.evaluate)
app.command("report")(report.report)
app.command("predict-file")(predictions.predict_file)
app.add_typer(predictions.app)
app.add_typer(functions.app)
app.add_typer(backends.app)
app.command("estimate")(estimate.estimate)
app.command("waits")(waits.waits)
app.command("run")(run_program.run_program)
app.command("solve")(solve.solve)
app.add_typer(solutions.app)
app.add_typer(program_sets.app)
app.command("convert")(convert.convert)
app.command("draw")(draw.draw)
app.command("explain-circuit")(explain_circuit.explain_circuit)
app.command("diagnose")(diagnose.diagnose)
app.add_typer(projects.app)
app.add_typer(budgets.app)
app.add_typer(users.app)
app.add_typer(keys.app)
app.add_typer(webhooks.app)
app.add_typer(audit.app)
app.add_typer(config.app)
app.command("doctor")(doctor.doctor)
app.command("health")(health.health)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("prune")(prune.prune)
app.command("version")(version.show_version)


def usage_error() -> Any:
    """The class of all errors of usage, which Typer names nowhere in public."""
    return typer.BadParameter.__mro__[1]


@cache
def _commands() -> Any:
    """All commands, built once: that takes 0.15 s, and a process may run many command lines."""
    return typer.main.get_command(app)


def run(arguments: Sequence[str]) -> int:
    """The exit code of a command line; errors are told on stderr, and with --json on stdout too."""
    as_json = "--json" in arguments
    try:
        outcome = _commands().main(list(arguments), prog_name="superpose", standalone_mode=False)
    except SuperposeError as error:
        code = error.problem_code if isinstance(error, ApiError) else error.code
        report_error(code, error.message, error.details, as_json=as_json)
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # until the process ends
        return 1
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            told = {} if error.filename is None else {"path": os.fsdecode(error.filename)}
            where = told.get("path", "A file")
            message = f"{where} cannot be written: {error.strerror}. Free some space, or write elsewhere."
            report_error("cli.file", message, told, as_json=as_json)
            return 1
        if isinstance(error, OSError) and error.filename is not None and error.errno in _OF_THE_PATH:
            told = {"path": os.fsdecode(error.filename)}
            message = f"{told['path']} cannot be read or written: {error.strerror}."
            report_error("cli.file", message, told, as_json=as_json)
            return 1
        if isinstance(error, usage_error()):
            error.show()
            if as_json:
                report_error("cli.usage", error.format_message(), {}, as_json=True, quiet=True)
            return USAGE
        if os.environ.get("SUPERPOSE_DEBUG"):
            raise
        message = (
            f"This should not have happened: {type(error).__name__}: {error}. "
            "Set SUPERPOSE_DEBUG=1 to see where, and please report it."
        )
        report_error("internal", message, {}, as_json=as_json)
        return 1
    return outcome if isinstance(outcome, int) else 0
