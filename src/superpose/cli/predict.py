"""`superpose predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpose.cli.connection import JsonOption, KeyFileOption, UrlOption, connect
from superpose.cli.output import print_json, print_table
from superpose.cli.rows import ROWS_HELP, names_of_rows, read_rows
from superpose.errors import RequestError

if TYPE_CHECKING:
    from superpose.client import Prediction
    from superpose.learning import Predictor

__all__ = [
    "AbstainOption",
    "NoveltyOption",
    "SetsOption",
    "abstain_rule",
    "column_names",
    "is_model_file",
    "loaded_model",
    "predict",
]


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
    rows: Annotated[str, typer.Argument(metavar="ROWS", help=ROWS_HELP)],
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
    rule = abstain_rule(abstain)
    is_file = is_model_file(model)
    if is_file:
        predictor = loaded_model(Path(model))
        wanted = read_rows(rows, lambda: column_names(predictor))
        answer = _of_file(Path(model).name, predictor, wanted, sets=sets, abstain=rule, novelty=novelty)
    else:
        with connect(url, key_file) as client:
            wanted = read_rows(rows, lambda: client.endpoints.columns(model))
            answer = client.predict(model, wanted, prediction_set=sets, abstain=rule, novelty=novelty)
    names = names_of_rows(wanted)
    if as_json:
        document = answer.to_dict() | ({} if names is None else {"pictures": names})
        if is_file:
            del document["model_version"], document["request_id"]
        print_json(document)
        return
    lines = [
        (name, *predicted, *more)
        for name, predicted, more in zip(names or range(len(answer)), _rows(answer), _more(answer), strict=True)
    ]
    told = [("set", answer.prediction_sets), ("novelty", answer.novelty), ("no label because", answer.abstained)]
    extra = [title for title, values in told if values is not None]
    if answer.target is None:
        titles: tuple[str, ...] = ("prediction", *(f"p({name})" for name in answer.classes))
    else:
        titles = (answer.target, *((f"{answer.coverage:.0%} from", "to") if answer.intervals else ()))
    first = "row" if names is None else "picture"
    right = ("row",) if answer.target is None else ("row", *titles)
    print_table((first, *titles, *extra), lines, right=right)
    for column, count in answer.unknown_categories.items():
        typer.echo(f"{count} of the rows have a value in {column!r} that the model does not know", err=True)
    if answer.notice:
        typer.echo(answer.notice, err=True)
    of_service = f" version {answer.model_version}, request {answer.request_id}"
    typer.echo(answer.model if is_file else answer.model + of_service, err=True)


def is_model_file(endpoint_or_model: str) -> bool:
    """Whether a model file is meant, rather than an endpoint.

    Raises:
        RequestError: it is a path, but of no model file.
    """
    if Path(endpoint_or_model).suffix.lower() == ".superpose":
        return True
    if "/" in endpoint_or_model:
        raise RequestError(
            f"{endpoint_or_model} is no model file, whose name ends in .superpose, and no endpoint's name has a slash.",
            field="model",
        )
    return False


def _of_file(
    name: str, predictor: Predictor, rows: Any, *, sets: bool, abstain: bool | float | str, novelty: bool
) -> Prediction:
    """What a model file answers, in the form in which an endpoint does, but without version and request."""
    from superpose.client import Prediction
    from superpose.learning.calibration.asking import Asked

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
        model=name,
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


def column_names(predictor: Predictor) -> list[str]:
    """Those that a model takes."""
    return [str(column["name"]) for column in predictor.input_schema]


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
