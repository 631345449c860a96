"""`superpose predict`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import print_json, print_table
from superpose.errors import DatasetEmptyError, RequestError

if TYPE_CHECKING:
    from superpose.client import Prediction
    from superpose.learning import Predictor

__all__ = ["AbstainOption", "NoveltyOption", "SetsOption", "abstain_rule", "loaded_model", "predict", "read_rows"]


SetsOption = Annotated[bool, typer.Option("--sets", help="Also the classes that hold the true one.")]
AbstainOption = Annotated[
    str | None,
    typer.Option("--abstain", help="No label where unsure: 'model' (its rule), 'set', or a number.", metavar="RULE"),
]
NoveltyOption = Annotated[bool, typer.Option("--novelty", help="Also how unlike the training rows each row is.")]


def predict(  # noqa: PLR0913  # one parameter per option
    model: Annotated[
        str,
        typer.Argument(
            metavar="ENDPOINT_OR_MODEL",
            help="An endpoint's name, or a model file (.superpose), for which no service runs.",
        ),
    ],
    rows: Annotated[
        str, typer.Argument(metavar="ROWS", help="A .json, .csv or .parquet file with rows; - reads JSON from stdin.")
    ],
    sets: SetsOption = False,
    abstain: AbstainOption = None,
    novelty: NoveltyOption = False,
    url: UrlOption = None,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the class of rows, or their number.

    JSON is a list of objects (column: value), a list of lists, or {"rows": [...]}. Missing values are null or empty.
    """
    wanted, rule = read_rows(rows), abstain_rule(abstain)
    is_file = Path(model).suffix.lower() == ".superpose"
    if is_file:
        answer = _of_file(Path(model), wanted, sets=sets, abstain=rule, novelty=novelty)
    else:
        with connect(url, key_file) as client:
            answer = client.predict(model, wanted, prediction_set=sets, abstain=rule, novelty=novelty)
    if as_json:
        document = answer.to_dict()
        if is_file:
            del document["model_version"], document["request_id"]
        print_json(document)
        return
    lines = [
        (index, *predicted, *more)
        for index, (predicted, more) in enumerate(zip(_rows(answer), _more(answer), strict=True))
    ]
    told = [("set", answer.prediction_sets), ("novelty", answer.novelty), ("no label because", answer.abstained)]
    extra = [title for title, values in told if values is not None]
    if answer.target is None:
        titles: tuple[str, ...] = ("prediction", *(f"p({name})" for name in answer.classes))
    else:
        titles = (answer.target, *((f"{answer.coverage:.0%} from", "to") if answer.intervals else ()))
    right = ("row",) if answer.target is None else ("row", *titles)
    print_table(("row", *titles, *extra), lines, right=right)
    for column, count in answer.unknown_categories.items():
        typer.echo(f"{count} of the rows have a value in {column!r} that the model does not know", err=True)
    if answer.notice:
        typer.echo(answer.notice, err=True)
    of_service = f" version {answer.model_version}, request {answer.request_id}"
    typer.echo(answer.model if is_file else answer.model + of_service, err=True)


def _of_file(file: Path, rows: Any, *, sets: bool, abstain: bool | float | str, novelty: bool) -> Prediction:
    """What a model file answers, in the form in which an endpoint does, but without version and request."""
    from superpose.client import Prediction
    from superpose.learning.calibration.asking import Asked

    predictor = loaded_model(file)
    if not len(rows):
        raise RequestError("There are no rows to predict; give one at least.", field="rows")
    encoded, unknown = predictor.encode_counting(rows)
    answer, details = predictor.answered(encoded, Asked(sets, abstain, novelty))
    more: dict[str, Any] = {"coverage": details.coverage}
    if predictor.predicts_numbers:
        predictions: tuple[str | float | None, ...] = tuple(answer.tolist())
        more["target"] = predictor.target
        if predictor.interval is not None:
            more["intervals"] = tuple((low, high) for low, high in predictor.interval.around(answer).tolist())
            more["coverage"] = predictor.interval.coverage
    else:
        labels = [str(predictor.classes[best]) for best in answer.argmax(axis=1).tolist()]
        reasons = details.reasons or (None,) * len(labels)
        predictions = tuple(label if why is None else None for label, why in zip(labels, reasons, strict=True))
    return Prediction(
        model=file.name,
        model_version=0,
        request_id="",
        classes=tuple(map(str, predictor.classes)),
        probabilities=() if predictor.predicts_numbers else tuple(map(tuple, answer.tolist())),
        predictions=predictions,
        unknown_categories=unknown,
        notice=predictor.notice,
        prediction_sets=details.sets,
        abstained=details.reasons,
        novelty=details.novelty,
        novel=details.novel,
        novelty_threshold=details.novelty_threshold,
        **more,
    )


def _rows(answer: Prediction) -> list[tuple[str | None, ...]]:
    """Of each row its label and probabilities, or its number and interval, as the table shows them."""
    if answer.target is None:
        pairs = zip(answer.predictions, answer.probabilities, strict=True)
        return [(None if label is None else str(label), *(f"{p:.4f}" for p in row)) for label, row in pairs]
    ends = answer.intervals or [()] * len(answer)
    numbers = zip(answer.predictions, ends, strict=True)
    return [(f"{number:.6g}", *(f"{end:.6g}" for end in row)) for number, row in numbers]


def _more(answer: Prediction) -> list[tuple[str | None, ...]]:
    """Of each row what was asked for besides label and probabilities, as the table shows it."""
    columns: list[list[str | None]] = []
    if answer.prediction_sets is not None:
        columns.append([", ".join(row) for row in answer.prediction_sets])
    if answer.novelty is not None and answer.novel is not None:
        pairs = zip(answer.novelty, answer.novel, strict=True)
        columns.append([f"{score:.3g}" + (" (novel)" if novel else "") for score, novel in pairs])
    if answer.abstained is not None:
        columns.append(list(answer.abstained))
    return list(zip(*columns, strict=True)) if columns else [()] * len(answer)


def abstain_rule(given: str | None) -> bool | float | str:
    """What --abstain says, as the client takes it.

    Raises:
        RequestError: none of its forms.
    """
    if given is None:
        return False
    if given in ("model", "set"):
        return True if given == "model" else "set"
    try:
        found = float(given)
    except ValueError:
        found = -1.0
    if not 0.0 <= found <= 1.0:
        raise RequestError(
            f"--abstain takes 'model', 'set' or a probability such as 0.8, got {given!r}.", field="abstain"
        )
    return found


def loaded_model(file: Path) -> Predictor:
    """The model of a file on this machine.

    Raises:
        RequestError: the file cannot be read.
        ModelFileCorruptError, ModelFormatError: it is no model file of this release.
    """
    from superpose.learning import Predictor

    try:
        return Predictor.load(file)
    except OSError as error:
        raise RequestError(f"The model file {file} cannot be read: {error.strerror}.", field="model") from error


_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".gif"})
"""Ends of names of files that hold pictures, never rows."""


def read_rows(source: str) -> Any:
    """Rows from a file or stdin; cells of CSV and Parquet are read as those of a data set are.

    Raises:
        RequestError: the file cannot be read or is not rows.
        DatasetError: a table cannot be read as a data set's would be; says where.
    """
    suffix = Path(source).suffix.lower()
    if suffix in _PICTURES:
        raise RequestError(
            f"{source} is a picture, and rows are wanted: .json, .csv or .parquet with a value for each pixel, 0 to 1, "
            "as superpose.datasets.image_row(path, size=28) makes it. Of a folder: superpose datasets add FOLDER, then "
            "superpose predictions of-dataset.",
            path=source,
        )
    try:
        if suffix in (".csv", ".parquet"):
            return _table_of(Path(source), suffix[1:])
        document = json.loads(sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"{source} cannot be read: {error.strerror or error}.", path=source) from None
    except ValueError as error:
        raise RequestError(f"{source} is not JSON: {error}.", path=source) from None
    found = document["rows"] if isinstance(document, dict) and set(document) == {"rows"} else document
    if not isinstance(found, list):
        kind = "an object" if isinstance(found, dict) else json.dumps(found)[:40]
        raise RequestError(f"{source} must be a list of rows, got {kind}; put a single row into a list.", path=source)
    return found


def _table_of(file: Path, format: str) -> Any:
    """The data frame of a table of rows; None or nan where a value is missing."""
    import pandas as pd

    from superpose.datasets import read_features

    try:
        return pd.DataFrame(read_features(file, format=format, name=file.name))
    except DatasetEmptyError as error:
        raise RequestError(f"{file} has no rows; give one at least.", path=str(file)) from error
