"""What a worker does for a batch prediction: chunk after chunk, each kept once done, then one file of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superpose.errors import FeatureMismatchError, RowRefusedError
from superpose.learning.canonical import gone_unless_whole
from superpose.service.nouns import Job
from superpose.service.predictions.chunk_store import ChunkStore
from superpose.service.predictions.result_files import column_of, empty_table, set_column_of, write_predictions
from superpose.service.serving.asking import asked_from
from superpose.service.store.artifacts import Artifacts
from superpose.service.work.runs import Outcome, RunContext

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from superpose.datasets import RowChunk
    from superpose.learning import Predictor
    from superpose.learning.calibration.asking import Asked, Details

__all__ = ["CHUNK_ROWS", "MAX_FAILURES", "run"]

Floats = NDArray[np.float64]

#: Rows of a chunk; where chunks end decides rounding, so it is the same for every attempt.
CHUNK_ROWS = 4_096
#: Rows that cannot be predicted and are told one by one.
MAX_FAILURES = 1_000


def run(job: Job, context: RunContext) -> Outcome:
    """Predict a file's rows; goes on from the chunks that are done.

    Raises:
        Stopped: ``should_stop`` said so; the chunks done are there.
        RowRefusedError: a row cannot be predicted, and the policy is to fail.
        DatasetFormatError: the file cannot be read on.
    """
    from superpose.datasets import RowFile
    from superpose.learning import Predictor

    payload: Mapping[str, Any] = job.payload
    predictor = Predictor.load(context.artifacts.read(payload["artifact"]), expected_digest=payload["digest"])
    digest = context.dataset_artifact or payload["input"]["artifact"]
    source = _arrived(context.artifacts, digest, context.directory / "input")
    columns = [(column["name"], column["kind"]) for column in predictor.input_schema]
    file = RowFile(source, payload["input"]["format"], columns)
    asked = asked_from(payload.get("more", {}))
    chunks, totals = ChunkStore(context.directory / "chunks"), _Totals(file.ignored)
    for number, chunk in enumerate(file.chunks(CHUNK_ROWS)):
        facts = chunks.facts(number)
        if facts is None:
            look = partial(_look, context, totals.n_rows)
            table, facts = _predicted(predictor, chunk, look, skip=payload["on_error"] == "skip", asked=asked)
            chunks.write(number, table, facts)
        totals.add(facts)
        _tell(context, totals.n_rows)
    output = context.directory / "output"
    classes = tuple(map(str, predictor.classes))
    with gone_unless_whole(output):
        write_predictions(
            output,
            payload["format"],
            lambda: chunks.tables(totals.n_chunks),
            classes,
            totals.n_rows - totals.n_failed,
            empty_table(classes, asked, has_interval=predictor.interval is not None),
        )
    context.on_event("progress", {"stage": "written", "n_rows": totals.n_rows, "fraction": 1.0})
    notice = {} if predictor.notice is None else {"notice": predictor.notice}
    return Outcome(totals.result() | notice, output=output)


def _look(context: RunContext, n_before: int, n_done: int) -> None:
    """Tell how many rows are predicted, those of a chunk that is not done among them, or leave off there."""
    from superpose.learning import Stopped

    if context.should_stop():
        raise Stopped("The worker stops; the chunks that are done are kept.")
    if n_done:
        _tell(context, n_before + n_done)


def _tell(context: RunContext, n_rows: int) -> None:
    context.on_event("progress", {"stage": f"{n_rows:,} rows", "n_rows": n_rows})


def _arrived(artifacts: Artifacts, digest: str, path: Path) -> Path:
    """The file to predict, on this machine; copied once per job, verified on the way."""
    if not path.exists():
        artifacts.verify(digest)
        part = path.with_suffix(".part")
        with gone_unless_whole(part), part.open("wb") as file:
            for chunk in artifacts.chunks(digest):
                file.write(chunk)
        part.replace(path)
    return path


def _predicted(
    predictor: Predictor, chunk: RowChunk, look: Callable[[int], None], *, skip: bool, asked: Asked | None
) -> tuple[pa.Table, dict[str, Any]]:
    """Predictions of the rows that can be predicted, and what is to be known of the others.

    ``look`` is called with the number of rows that are done, before more are.
    """
    look(0)
    import pandas as pd
    import pyarrow as pa

    failures = dict(chunk.bad)
    good = np.array([place for place in range(chunk.n_rows) if place not in failures], dtype=np.int64)
    frame = pd.DataFrame({name: values[good] for name, values in chunk.columns.items()})
    unknown: Counter[str] = Counter()
    parts, places = [], []
    for first, encoded in _encoded(predictor, frame, 0):
        if isinstance(encoded, str):
            failures[int(good[first])] = encoded
        else:
            values, counts = encoded
            unknown.update(counts)
            parts.append(values)
            places.append(good[first : first + len(values)])
    if failures and not skip:
        place = min(failures)
        raise RowRefusedError(
            f"Row {chunk.first + place} (counted from 0) cannot be predicted: it {failures[place]}. Mend the file, or "
            "send on_error=skip to leave such rows out and have them reported.",
            row=chunk.first + place,
        )
    rows = np.concatenate(places) if places else np.empty(0, dtype=np.int64)
    joined = np.concatenate(parts) if parts else np.empty((0, predictor.model.preprocessor.n_encoded))
    columns: dict[str, Any] = {"row": pa.array(rows + chunk.first, pa.int64())}
    columns |= (
        _class_columns(predictor, joined, look, asked)
        if predictor.classes
        else _number_columns(predictor, joined, asked)
    )
    told = sorted(failures.items())[:MAX_FAILURES]
    facts = {
        "n_rows": chunk.n_rows,
        "n_failed": len(failures),
        "failures": [{"row": chunk.first + place, "reason": reason} for place, reason in told],
        "unknown_categories": dict(unknown),
    }
    return pa.table(columns), facts


def _probabilities(predictor: Predictor, encoded: Floats, look: Callable[[int], None]) -> Floats:
    """Probabilities of rows, in the parts that the model itself computes: a chunk of pictures takes minutes."""
    size = int(getattr(predictor.model, "rows_at_once", len(encoded)))
    parts = []
    for start in range(0, len(encoded), size):
        look(start)
        parts.append(predictor.predict_encoded(encoded[start : start + size]))
    return np.concatenate(parts)


def _class_columns(
    predictor: Predictor, encoded: Floats, look: Callable[[int], None], asked: Asked | None
) -> dict[str, Any]:
    """Columns of labels, probabilities, and what else was asked for."""
    import pyarrow as pa

    from superpose.learning.calibration.asking import detailed

    classes = tuple(map(str, predictor.classes))
    probabilities = _probabilities(predictor, encoded, look) if len(encoded) else np.empty((0, len(classes)))
    details = None if asked is None else detailed(predictor.safeguards, asked, probabilities, classes, encoded)
    labels: list[str | None] = [classes[best] for best in probabilities.argmax(axis=1)]
    if details is not None and details.reasons is not None:
        pairs = zip(labels, details.reasons, strict=True)
        labels = [label if reason is None else None for label, reason in pairs]
    columns: dict[str, Any] = {"prediction": pa.array(labels, pa.string())}
    for place, label in enumerate(classes):
        columns[column_of(label)] = pa.array(np.ascontiguousarray(probabilities[:, place]), pa.float64())
    return columns if details is None else columns | _more_columns(details, classes)


def _number_columns(predictor: Predictor, encoded: Floats, asked: Asked | None) -> dict[str, Any]:
    """Columns of numbers, ends of their intervals if the model keeps one, and novelty if it was asked for."""
    import pyarrow as pa

    from superpose.learning.calibration.asking import detailed

    numbers = predictor.numbers_encoded(encoded) if len(encoded) else np.empty(0)
    columns: dict[str, Any] = {"prediction": pa.array(numbers, pa.float64())}
    if predictor.interval is not None:
        ends = predictor.interval.around(numbers)
        columns |= {name: pa.array(ends[:, place].copy(), pa.float64()) for place, name in enumerate(("low", "high"))}
    if asked is None:
        return columns
    none: Floats = np.empty((len(encoded), 0))
    return columns | _more_columns(detailed(predictor.safeguards, asked, none, (), encoded), ())


def _more_columns(details: Details, classes: Sequence[str]) -> dict[str, Any]:
    """Columns of what else was asked for."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    if details.sets is not None:
        for label in classes:
            columns[set_column_of(label)] = pa.array([label in row for row in details.sets], pa.bool_())
    if details.reasons is not None:
        columns["abstained"] = pa.array(details.reasons, pa.string())
    if details.novelty is not None:
        columns["novelty"] = pa.array(details.novelty, pa.float64())
        columns["novel"] = pa.array(details.novel, pa.bool_())
    return columns


def _encoded(
    predictor: Predictor, frame: pd.DataFrame, first: int
) -> Iterator[tuple[int, str | tuple[Any, dict[str, int]]]]:
    """Encoded runs of rows with the place of their first, or why one row cannot be encoded; halves to find it."""
    if not len(frame):
        return
    try:
        yield first, predictor.encode_counting(frame)
    except FeatureMismatchError as error:
        if len(frame) == 1:
            column = error.details.get("column")
            reason = "holds a value that the model does not take"
            yield first, f"column {column!r} {reason}" if column is not None else reason
            return
        middle = len(frame) // 2
        yield from _encoded(predictor, frame.iloc[:middle], first)
        yield from _encoded(predictor, frame.iloc[middle:], first + middle)


class _Totals:
    """What all chunks amount to."""

    def __init__(self, ignored: Sequence[str]) -> None:
        self.n_chunks = self.n_rows = self.n_failed = 0
        self._ignored = list(ignored)
        self._failures: list[Mapping[str, Any]] = []
        self._unknown: Counter[str] = Counter()

    def add(self, facts: Mapping[str, Any]) -> None:
        """Count a chunk in."""
        self.n_chunks += 1
        self.n_rows += facts["n_rows"]
        self.n_failed += facts["n_failed"]
        self._failures += facts["failures"][: MAX_FAILURES - len(self._failures)]
        self._unknown.update(facts["unknown_categories"])

    def result(self) -> dict[str, object]:
        """The job's result."""
        return {
            "n_rows": self.n_rows,
            "n_predicted": self.n_rows - self.n_failed,
            "n_failed": self.n_failed,
            "failures": list(self._failures),
            "unknown_categories": dict(sorted(self._unknown.items())),
            "ignored_columns": self._ignored,
        }
