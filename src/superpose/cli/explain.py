"""`superpose explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import print_json, print_table
from superpose.cli.predict import column_names, is_model_file, loaded_model
from superpose.cli.rows import ROWS_HELP, names_of_rows, read_rows
from superpose.errors import RequestError
from superpose.learning.canonical import write_whole

if TYPE_CHECKING:
    from superpose.client import Explanation
    from superpose.client.explanations import ExplainedRow, MoreToExplain
    from superpose.learning import Predictor

__all__ = ["explain"]

_SHOWN = 8
"""Columns that a terminal shows, the strongest; --json has all."""


def explain(  # noqa: PLR0913  # a command's options
    model: Annotated[
        str,
        typer.Argument(
            metavar="ENDPOINT_OR_MODEL",
            help="An endpoint's name, or a model file (.superpose), for which no service runs.",
        ),
    ],
    rows: Annotated[str, typer.Argument(metavar="ROWS", help=ROWS_HELP)],
    method: Annotated[
        str,
        typer.Option(help="integrated_gradients, gradient_x_input, occlusion or shapley.", metavar="NAME"),
    ] = "integrated_gradients",
    of_class: Annotated[
        str | None,
        typer.Option("--class", help="Explain this class [default: the predicted one].", metavar="CLASS"),
    ] = None,
    counterfactuals: Annotated[
        int | None,
        typer.Option(help="Look for so many small changes of a row that change its label.", metavar="N", min=1, max=10),
    ] = None,
    to_class: Annotated[
        str | None, typer.Option("--to", help="The label wanted [default: any other].", metavar="CLASS")
    ] = None,
    fixed: Annotated[
        list[str] | None, typer.Option(help="Column that must stay, repeatable.", metavar="COLUMN")
    ] = None,
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            help="Limits of a column, repeatable; an end left out is the training data's.",
            metavar="COLUMN=LOW..HIGH",
        ),
    ] = None,
    shots: Annotated[
        int | None,
        typer.Option(help="Tell how likely labels are to flip with so many shots.", metavar="N", min=1),
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Say it in plain words too.")] = False,
    png: Annotated[
        Path | None,
        typer.Option("--png", help="For images: write a picture of each row here.", metavar="DIR"),
    ] = None,
    picture: Annotated[
        str, typer.Option(help="auto, class_activation, attribution or occlusion.", metavar="KIND")
    ] = "auto",
    image: Annotated[
        str | None,
        typer.Option(help="Size of the images, where columns do not tell it.", metavar="HEIGHTxWIDTH"),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Of an endpoint: longest wait in seconds [default: 600].", metavar="SECONDS", min=0.001),
    ] = None,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain which columns moved predictions.

    Attributions share the difference to a typical row's probability, or number, out among the columns. They speak of
    the model, not of causes. Of an endpoint up to 100 rows, of a model file any number.
    """
    few: dict[str, Any] | None = None
    if counterfactuals is not None:
        ranges = dict(_range(text) for text in limits or ())
        few = {"n": counterfactuals, "to_class": to_class, "fixed": fixed or [], "ranges": ranges}
    elif to_class is not None or fixed or limits:
        raise typer.BadParameter("--to, --fixed and --range are for --counterfactuals N")
    more: MoreToExplain = {"counterfactuals": few, "shots": shots, "words": words}
    is_file = is_model_file(model)
    if png is None and (picture != "auto" or image is not None):
        raise typer.BadParameter("--picture and --image are for --png DIR")
    if png is not None:
        more["picture"] = {"kind": picture, **_size(image)}
    if is_file:
        _refuse_timeout(timeout)
        predictor = loaded_model(Path(model))
        wanted = read_rows(rows, lambda: column_names(predictor))
        found = _of_file(Path(model).name, predictor, wanted, method, of_class, more)
    else:
        with connect(url, key_file) as client:
            wanted = read_rows(rows, lambda: client.endpoints.columns(model))
            found = client.explain(model, wanted, method=method, of_class=of_class, timeout_s=timeout, **more)
    files = [] if png is None else _write(found, png)
    names = names_of_rows(wanted)
    if as_json:
        document = found.to_dict() | ({} if names is None else {"pictures": names})
        if is_file:
            del document["model_version"]
        for row, file in zip(document["rows"], files, strict=False):
            row["picture"] = {"kind": row["picture"]["kind"], "layer": row["picture"]["layer"], "file": str(file)}
        print_json(document)
        return
    if found.notice:
        typer.echo(found.notice)
    for title, row in zip(names or [f"row {index}" for index in range(len(found.rows))], found.rows, strict=True):
        _show(title, row, to_class, predicted=None if of_class is not None else row.label)
    for file in files:
        typer.echo(f"written {file}", err=True)
    _summary(found, found.model if is_file else f"{found.model} version {found.model_version}")


def _refuse_timeout(timeout: float | None) -> None:
    if timeout is not None:
        raise typer.BadParameter("--timeout is for endpoints; a model file is explained here, for as long as it takes")


def _of_file(  # what an endpoint is told, and the model
    name: str, predictor: Predictor, rows: Any, method: str, of_class: str | None, more: MoreToExplain
) -> Explanation:
    """What a model file's predictions were made of, in the form in which a service tells it."""
    from superpose.client import Explanation
    from superpose.explain import CounterfactualOptions, Explain, Picture, explain_rows

    if not len(rows):
        raise RequestError("There are no rows to explain; give one at least.", field="rows")
    few: Any = more["counterfactuals"]
    drawn: Any = more.get("picture")
    size = (drawn["height"], drawn["width"]) if drawn and "width" in drawn else None
    wanted = Explain(
        method,
        of_class,
        None if few is None else CounterfactualOptions(**few),
        more["shots"],
        more["words"],
        None if drawn is None else Picture(drawn["kind"], size),
    )
    told = explain_rows(predictor, rows, wanted)
    return Explanation.from_json({"model": name, "model_version": 0, **told})  # a file has no version


def _size(text: str | None) -> dict[str, int]:
    if text is None:
        return {}
    height, cross, width = text.lower().partition("x")
    if not cross or not height.isdecimal() or not width.isdecimal():
        raise typer.BadParameter(f"{text!r} is not HEIGHTxWIDTH, such as 28x28")
    return {"height": int(height), "width": int(width)}


def _write(found: Explanation, directory: Path) -> list[Path]:
    """One file for each row: its number, kind and class."""
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for index, row in enumerate(found.rows):
        if row.picture is not None:
            label = "".join(letter if letter.isalnum() else "-" for letter in row.answer)[:40]
            files.append(directory / f"row-{index:03d}-{row.picture.kind}-{label}.png")
            write_whole(files[-1], row.picture.png)
    return files


def _show(title: str, row: ExplainedRow, to_class: str | None, *, predicted: str | None) -> None:
    shown = list(row.attributions.items())[:_SHOWN]
    rest = sum(row.attributions.values()) - sum(value for _, value in shown)
    lines = [(name, _amount(value)) for name, value in shown]
    if len(row.attributions) > _SHOWN:
        lines.append((f"{len(row.attributions) - _SHOWN} other columns", _amount(rest)))
    if row.number is not None:
        typer.echo(f"{title}: {row.number:.6g}, a typical row {row.typical_number:.6g}")
    else:
        answered = (
            "" if row.calibrated_probability is None else f"{row.calibrated_probability:.4f}, before calibration "
        )
        typer.echo(f"{title}: {row.label} {answered}{row.probability:.4f}, a typical row {row.typical_probability:.4f}")
    print_table(("column", "attribution"), lines, right=("attribution",))
    if row.sampling_error is not None:
        typer.echo(f"From drawn orders of columns: each attribution may be off by {row.sampling_error:.2g} (95 %).")
    if row.counterfactuals is not None and not row.counterfactuals:
        typer.echo(_none_found(to_class, predicted))
    for one in row.counterfactuals or ():
        changes = ", ".join(f"{name} {before} -> {after}" for name, (before, after) in one.changes.items())
        typer.echo(f"{one.label} {one.probability:.4f}, distance {one.distance:.3f}: {changes}")
    if row.shot_noise is not None:
        noise = row.shot_noise
        n = noise.shots_to_settle
        settle = "no number of shots" if n is None else f"{n:,} shot{'' if n == 1 else 's'}"
        typer.echo(f"flips with probability {noise.flip_probability:.4f}, most to {noise.rival}; settled by {settle}")
    for sentence in row.words or ():
        typer.echo(sentence)
    typer.echo("")


def _none_found(to_class: str | None, predicted: str | None) -> str:
    """Why a row has no counterfactual; ``predicted`` is its label, None where only a class asked for is known."""
    if to_class is None:
        return "no allowed change was found that changes the label"
    if predicted is not None:
        wanted = f"no allowed change was found that makes the label {to_class}"
        return f"the label is {to_class} already" if predicted == to_class else wanted
    return f"no allowed change was found that makes the label {to_class}, or it is that already"


def _amount(value: float) -> str:
    """An attribution, with three digits that count where four decimals would leave fewer."""
    return f"{value:+.4f}" if value == 0.0 or abs(value) >= 0.1 else f"{value:+#.3g}"


def _summary(found: Explanation, of: str) -> None:
    if found.shot_noise is not None:
        noise = found.shot_noise
        typer.echo(
            f"{100 * noise['share_in_band']:.1f} % of the rows have a label that {int(noise['shots']):,} shots flip "
            f"more often than {100 * noise['flipping']:g} %",
            err=True,
        )
    typer.echo(f"{of}, {found.method}", err=True)


def _range(text: str) -> tuple[str, list[float | None]]:
    name, equals, limits = text.partition("=")
    low, dots, high = limits.partition("..")
    try:
        if not equals or not dots or not name.strip():
            raise ValueError
        return name.strip(), [float(end) if end.strip() else None for end in (low, high)]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not COLUMN=LOW..HIGH, such as age=18..90 or age=18..") from None
