"""`superpose report`."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.models import VersionOption, reference
from superpose.cli.output import print_json
from superpose.cli.predict import loaded_model
from superpose.errors import ApiError, NotFoundError, RequestError, UnreachableError
from superpose.learning.canonical import write_whole

__all__ = ["report"]

_JOB = re.compile(r"job_[0-9a-z]+", re.ASCII)


def report(
    job_or_model: Annotated[
        str, typer.Argument(metavar="JOB_OR_MODEL", help="A training job, a model, a model file or a template's run.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File, .html or .pdf, or directory [default: here]."),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="html or pdf [default: by the file's name].")
    ] = None,
    version: VersionOption = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a training's report: one page, HTML or PDF.

    Curves, ROC, reliability, confusion, controls with their verdict,
    explanation, circuit, data, privacy, cost, promotion, environment.
    The file loads nothing from anywhere.
    """
    try:
        source = Path(job_or_model)
        if source.suffix == ".superpose" or (source / "report.json").is_file():
            saved = _written_here(source, out, form)
        elif "/" in job_or_model:  # which no name has
            raise _no_run(source)
        else:
            try:
                with connect(url, key_file) as client:
                    if _JOB.fullmatch(job_or_model):
                        saved = client.jobs.report(job_or_model, out, format=form).to_dict()
                    else:
                        saved = client.models.report(job_or_model, reference(version), out, format=form).to_dict()
            except (ApiError, UnreachableError) as error:
                if source.is_dir() and getattr(error, "problem_code", NotFoundError.code) == NotFoundError.code:
                    raise _no_run(source) from error
                raise
    except OSError as error:
        place = str(out or Path.cwd())
        raise RequestError(
            f"The report cannot be written to {place}: {error.strerror}. Choose another --out.", path=place
        ) from error
    saved["path"] = str(Path(saved["path"]).absolute())
    if as_json:
        print_json(saved)
    else:
        typer.echo(f"{saved['path']} ({saved['size_bytes'] / 1024:.0f} KiB)")


def _no_run(source: Path) -> RequestError:
    """What is missing of a path that is neither a model file nor the directory of a run that has ended."""
    if source.is_dir():
        return RequestError(
            f"{source} holds no report.json, which a template's run leaves at its end. Where it was begun, the same "
            "command goes on with it.",
            field="model",
        )
    return RequestError(
        f"There is no run in {source}. A report is made of a training job, a model, a model file (.superpose) or the "
        "directory of a template's run.",
        field="model",
    )


def _written_here(source: Path, out: Path | None, form: str | None) -> dict[str, Any]:
    """The report of a model file, which knows nothing of job and registry, or of a template's directory."""
    from superpose.client.reports import report_format
    from superpose.explain import ReportFacts, demand_report, report_pdf, study_report, training_report

    wanted = report_format(out, form)
    if not source.exists():
        raise RequestError(
            f"There is no model file {source}. Give one that is there, or a model's name.", field="model"
        )
    if (source / "report.json").is_file():
        try:
            document = json.loads((source / "report.json").read_text(encoding="utf-8"))
        except (ValueError, RecursionError):  # no JSON, or no text
            document = None
        if not isinstance(document, dict):
            raise RequestError(
                f"{source / 'report.json'} is damaged: it holds no JSON object. Run the template again in the same "
                "directory; it goes on where it stopped.",
                field="model",
            )
        pages = {"pneumonia": study_report, "demand": demand_report}
        if document.get("template") not in pages:
            raise RequestError(
                f"{source} holds a run of the template {document.get('template')!r}; those with pages are "
                f"{' and '.join(pages)}.",
                field="model",
            )
        named = document.get("model")
        if not isinstance(named, dict) or not isinstance(named.get("file"), str):
            raise RequestError(
                f"{source / 'report.json'} does not name its model file: it is damaged, or the run has not ended. "
                "Run the template again in the same directory; it goes on where it stopped.",
                field="model",
            )
        predictor = loaded_model(source / Path(named["file"]).name)
        content = pages[document["template"]](document, predictor)
    else:
        predictor = loaded_model(source)
        content = training_report(ReportFacts(predictor, model=source.stem))
    if wanted == "pdf":
        content = report_pdf(content)
    target = out or Path.cwd()
    target = target / f"{source.stem}-report.{wanted}" if target.is_dir() else target
    write_whole(target, content)
    digest = hashlib.sha256(content).hexdigest()
    return {"path": target, "format": wanted, "size_bytes": len(content), "sha256": digest}
