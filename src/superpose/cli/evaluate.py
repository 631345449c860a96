"""`superpose evaluate`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.models import reference
from superpose.cli.output import console, paragraph, print_json, print_table, section
from superpose.cli.predict import column_names, is_model_file, loaded_model
from superpose.cli.rows import names_of_rows, read_rows
from superpose.errors import RequestError
from superpose.learning.canonical import write_whole

if TYPE_CHECKING:
    import pandas as pd

    from superpose.client import ModelVersion
    from superpose.learning import Predictor

__all__ = ["evaluate"]

_FOLDER = "folder"
"""Of pictures the column of the truth: the folder that each lies in."""
_MOST_CLASSES = 12


def evaluate(  # noqa: PLR0913  # one parameter per option
    model: Annotated[
        str,
        typer.Argument(
            metavar="ENDPOINT_OR_MODEL",
            help="An endpoint's name, MODEL:VERSION of the registry, or a model file (.superpose).",
        ),
    ],
    rows: Annotated[
        str,
        typer.Argument(
            metavar="ROWS", help="A .csv, .parquet or .json file, or a folder with a folder of pictures for each class."
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(help="Column of the truth [default: the one that the model learnt].", metavar="COLUMN"),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="What a label is called in the model, repeatable.", metavar="LABEL=CLASS"),
    ] = None,
    groups: Annotated[
        str | None, typer.Option(help="Column of what rows belong to, such as a patient.", metavar="COLUMN")
    ] = None,
    subgroup: Annotated[
        list[str] | None, typer.Option(help="Column to tell metrics by, repeatable.", metavar="COLUMN")
    ] = None,
    confidence: Annotated[float, typer.Option(help="Of the intervals.", min=0.5, max=0.999)] = 0.95,
    against: Annotated[
        str | None,
        typer.Option(help="Another model on the same rows: which does better?", metavar="ENDPOINT_OR_MODEL"),
    ] = None,
    against_column: Annotated[
        str | None,
        typer.Option(help="Column with the answers of what is in use, such as a reader's.", metavar="COLUMN"),
    ] = None,
    margin: Annotated[
        float, typer.Option(help="A difference in accuracy below this does not matter.", min=0.001, max=0.5)
    ] = 0.02,
    page: Annotated[
        Path | None,
        typer.Option("--report", help="Write a page with all of it, .html or .pdf.", metavar="FILE"),
    ] = None,
    site: Annotated[
        str | None,
        typer.Option("--record", help="Keep the figures at the model's version, by this name.", metavar="SITE"),
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a model against rows whose truth is known.

    Such as another site's: external validation. Everything is computed here: of an endpoint its model is downloaded,
    and no row leaves this machine. With --record the figures do, to stand on the version's card and report.
    """
    from superpose.client.reports import report_format

    form = "html" if page is None else report_format(page, None)
    subject = _subject(model, url, key_file)
    predictor, name = subject.predictor, subject.name
    if site is not None and subject.registered is None:
        raise RequestError(
            f"--record keeps figures at a version of the registry, and {model} is a file. Give MODEL:VERSION, or "
            f"import it first: superpose models import {model}.",
            field="record",
        )
    if site is not None:
        from superpose.service.names import check_name

        check_name(site, "site")  # before minutes of predictions
    if against is not None and against_column is not None:
        raise RequestError("Give either --against or --against-column, not both.", field="against")
    other = None if against is None else _subject(against, url, key_file)
    renamed = dict(_renamed(text, [str(name) for name in predictor.classes]) for text in label or ())
    frame = _frame(rows, predictor)
    from superpose.explain import external_report
    from superpose.learning.external_validation import external_validation
    from superpose.learning.paired_validation import paired_validation

    how: dict[str, Any] = {
        "target": _FOLDER if target is None and _FOLDER in frame.attrs else target,
        "labels": renamed,
        "groups": groups,
        "confidence": confidence,
    }
    found = external_validation(predictor, frame, subgroups=subgroup or (), **how)
    paired = None
    if other is not None:
        of_one_name = name == other.name and subject.registered is None  # files of two folders
        names = (model, str(against)) if of_one_name else (name, other.name)
        paired = paired_validation(predictor, other.predictor, frame, names=names, margin=margin, **how)
        paired = {"digest": other.predictor.digest, **paired}
    elif against_column is not None:
        paired = paired_validation(predictor, against_column, frame, names=(name, against_column), margin=margin, **how)
    if page is not None:
        made = external_report(
            found, name, Path(rows).name, notice=predictor.notice, digest=predictor.digest, paired=paired
        )
        _write(page, form, made)
    if as_json:
        more = {} if paired is None else {"against": paired}
        print_json({"model": name, "digest": predictor.digest, "notice": predictor.notice, **found, **more})
    else:
        _show(name, found)
        if paired is not None:
            _show_paired(paired)
        if predictor.notice:
            typer.echo(predictor.notice, err=True)
    if site is not None and subject.registered is not None:
        from superpose.learning.validation_record import record_of

        record, version = record_of(found, predictor.digest), subject.registered
        with connect(url, key_file) as client:
            client.models.record_validation(version.model, site, record, version.version)
        typer.echo(f"recorded {site} at {name}", err=True)


def _write(file: Path, form: str, content: bytes) -> None:
    from superpose.explain import report_pdf

    try:
        write_whole(file, report_pdf(content) if form == "pdf" else content)
    except OSError as error:
        raise RequestError(
            f"The report cannot be written to {file}: {error.strerror}. Choose another --report.", path=str(file)
        ) from error
    typer.echo(f"written {file}", err=True)


def _renamed(text: str, classes: Sequence[str]) -> tuple[str, str]:
    """What stands on both sides of the sign; of several the one behind which a class of the model stands."""
    places = [place for place, sign in enumerate(text) if sign == "="]
    before, after = "", ""
    for place in reversed(places):
        before, after = text[:place].strip(), text[place + 1 :].strip()
        if after in classes:
            break
    if not before or not after:
        raise RequestError(f"--label takes LABEL=CLASS, such as 1=malignant; got {text!r}.", field="label")
    return before, after


@dataclass(frozen=True)
class _Subject:
    """A model, what it is called, and its version if it is registered."""

    predictor: Predictor
    name: str
    registered: ModelVersion | None = None


def _subject(name: str, url: str | None, key_file: Path | None) -> _Subject:
    """The model of a file, behind an endpoint, or of the registry (MODEL:VERSION)."""
    if is_model_file(name):
        return _Subject(loaded_model(Path(name)), Path(name).name)
    model, colon, version = name.partition(":")
    with connect(url, key_file) as client, tempfile.TemporaryDirectory() as directory:
        if colon:
            found = client.models.version(model, reference(version))
        else:
            endpoint = client.endpoints.get(name)
            found = client.models.version(endpoint.model, endpoint.version)
        predictor = loaded_model(client.models.download(found.model, found.version, directory))
        return _Subject(predictor, f"{found.model} version {found.version}", found)


def _frame(source: str, predictor: Predictor) -> pd.DataFrame:
    """The rows with their truth; of pictures in folders that stands in a column of its own, which ``attrs`` names."""
    import pandas as pd

    found = read_rows(source, lambda: column_names(predictor))
    names = names_of_rows(found)
    if not isinstance(found, pd.DataFrame):
        if not all(isinstance(row, Mapping) for row in found):
            raise RequestError(f"{source} must be a list of objects, whose members are columns.", path=source)
        found = pd.DataFrame.from_records(found)
    if not len(found):
        raise RequestError(f"{source} has no rows; give one at least.", path=source)
    if names is None:
        return found
    folders = [Path(name).parts[0] if len(Path(name).parts) > 1 else None for name in names]
    if None in folders:
        raise RequestError(
            f"Picture {names[folders.index(None)]!r} lies in no folder of {source}. The truth of a picture is the name "
            "of its folder: give a folder that has one for each class.",
            path=source,
        )
    found[_FOLDER] = folders
    found.attrs[_FOLDER] = True
    return found


def _show(name: str, found: Mapping[str, Any]) -> None:
    """Print what a person wants to know first; --json has all."""
    from superpose.learning.metrics import form_of, reading

    own = found["own"] or {"metrics": {}, "n_rows": None}
    members: dict[str, object] = {"model": name, "rows": f"{found['n_rows']:,}" + _left_out(found)}
    if "classes" in found:
        listed = list(found["classes"].items())
        more = f" and {len(listed) - _MOST_CLASSES} more" if len(listed) > _MOST_CLASSES else ""
        members["classes"] = ", ".join(f"{n:,} {label}" for label, n in listed[:_MOST_CLASSES]) + more
        members["sensitivity of"] = found["positive_class"] or "each class, on average"
    section(members)
    typer.echo()
    of_own = f"own {own['n_rows']:,} test rows" if own["n_rows"] else "own test rows"
    lines = []
    for metric, figure in found["metrics"].items():
        title = "bias" if metric == "bias" else reading(metric)[1]
        form = form_of(metric, *(figure[one] for one in ("value", "low", "high")))
        before = [_number(own["metrics"].get(metric), form)] if found["own"] else []
        lines.append((title, _number(figure["value"], form), _ends(figure, form), *before))
    header = ("metric", "here", f"{100 * found['confidence']:g} % interval", *([of_own] if found["own"] else []))
    print_table(header, lines, right=("here", of_own))
    if "classes" in found:
        typer.echo()
        section(_trust(found, own))
    if found.get("subgroups"):
        typer.echo()
        _show_subgroups(found["subgroups"])
    out = console()
    for sentence in found["summary"]:
        typer.echo()
        paragraph(out, sentence)


def _show_paired(paired: Mapping[str, Any]) -> None:
    """Print how the model differs from another."""
    from superpose.learning.metrics import form_of, reading

    lines = []
    for metric, figure in paired["metrics"].items():
        form = form_of(metric, figure["first"], figure["second"])
        values = ["–" if figure[side] is None else f"{figure[side]:{form}}" for side in ("first", "second")]
        ends = "" if figure["low"] is None else f" ({figure['low']:+{form}} to {figure['high']:+{form}})"
        difference = "–" if figure["difference"] is None else f"{figure['difference']:+{form}}{ends}"
        lines.append((reading(metric)[1], *values, difference))
    typer.echo()
    header = ("metric", paired["first"], paired["second"], f"difference ({100 * paired['confidence']:g} %)")
    print_table(header, lines, right=header[1:3])
    out = console()
    for sentence in paired["summary"]:
        typer.echo()
        paragraph(out, sentence)


def _trust(found: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, object]:
    """How far probabilities, sets and the model itself can be trusted here."""
    told, again = found["calibration"], found["recalibration"]
    before = "" if own.get("ece") is None else f" (own test rows: {own['ece']:.3f})"
    members: dict[str, object] = {"calibration error": f"{told['after']['ece']:.3f}{before}"}
    if again is not None:
        members[f"rows of {found['positive_class']}"] = f"{again['n_positive']:,}, {again['n_expected']:,.1f} expected"
        members["calibration intercept"] = _signed(again["intercept"])
        members["calibration slope"] = "–" if again["slope"] is None else _signed(again["slope"], "")
    if told["conformal"] is not None:
        held = _percent(told["conformal"]["covered"])
        members[f"sets of {100 * told['conformal']['coverage']:g} %"] = f"hold the truth of {held} of rows"
    if told["abstain"] is not None:
        accuracy = told["abstain"]["accuracy"]
        right = "" if accuracy is None else f", {_percent(accuracy)} of these rightly"
        members["answered"] = f"{_percent(told['abstain']['answered'])} of rows{right}"
    if told["novelty"] is not None:
        members["novel"] = (
            f"{_percent(told['novelty']['novel'])} of rows, {100 * told['novelty']['expected_share']:.1f} % expected"
        )
    return members


def _signed(figure: Mapping[str, float], sign: str = "+") -> str:
    form = f"{sign}.2f"
    return f"{figure['value']:{form}} ({figure['low']:{form}} to {figure['high']:{form}})"


def _percent(figure: Mapping[str, float]) -> str:
    return f"{100 * figure['share']:.1f} % ({100 * figure['low']:.1f} to {100 * figure['high']:.1f})"


def _left_out(found: Mapping[str, Any]) -> str:
    of = "" if found["n_groups"] is None else f" of {found['n_groups']:,} groups"
    if not found["n_without_truth"]:
        return of
    return f"{of}; {found['n_without_truth']:,} without {found['target']!r} left out"


def _number(value: float | None, form: str = ".3f") -> str:
    return "–" if value is None else f"{value:{form}}"


def _ends(figure: Mapping[str, Any], form: str) -> str:
    return "–" if figure["low"] is None else f"{figure['low']:{form}} to {figure['high']:{form}}"


def _show_subgroups(subgroups: list[Mapping[str, Any]]) -> None:
    lines = []
    for column in subgroups:
        for group in column["groups"]:
            metrics, intervals = group["metrics"], group["intervals"]
            figures = [
                "–" if metrics.get(metric) is None else f"{metrics[metric]:.3f}{_around(intervals.get(metric))}"
                for metric in ("accuracy", "sensitivity", "specificity")
            ]
            lines.append((column["column"], group["group"], f"{group['n_cases']:,}", *figures, _number(metrics["auc"])))
    print_table(("column", "group", "rows", "accuracy", "sensitivity", "specificity", "AUC"), lines, right=("rows",))


def _around(ends: list[float] | None) -> str:
    return "" if ends is None else f" ({ends[0]:.3f}–{ends[1]:.3f})"
