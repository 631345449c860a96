"""What a training job leaves beside its model file, for the model card and the promotion gate.

An explanation sample of test rows, and what the training took: measured seconds, and from them estimates of energy
and cost. The model file itself stays free of it, so that equal runs go on giving equal files.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose.errors import ExplanationError, SuperposeError
from superpose.service.config import ServiceConfig
from superpose.service.store.disk_errors import is_of_the_disk
from superpose.service.traces import trace_of
from superpose.service.work.how_far import explaining

if TYPE_CHECKING:
    from superpose.datasets import Table
    from superpose.learning import ExperimentResult, TrainingSpec
    from superpose.learning.predictor import Predictor
    from superpose.service.work.runs import RunContext

__all__ = ["effort_of", "evidence_of", "evidence_of_rows", "measured_effort"]

_FILE = "effort.json"
_log = logging.getLogger(__name__)


@contextmanager
def measured_effort(directory: Path) -> Iterator[None]:
    """Add the processor and worker seconds of a block to what the run in ``directory`` has taken before.

    An attempt that was killed leaves no word of its seconds.
    """
    began_cpu_s, began_s = time.process_time(), time.monotonic()
    try:
        yield
    finally:
        before = effort_of(directory)
        now = {
            "cpu_s": before["cpu_s"] + time.process_time() - began_cpu_s,
            "worker_s": before["worker_s"] + time.monotonic() - began_s,
        }
        directory.mkdir(parents=True, exist_ok=True)
        new = directory / f"{_FILE}.new"
        new.write_text(json.dumps(now), encoding="utf-8")
        new.replace(directory / _FILE)


def effort_of(directory: Path) -> dict[str, float]:
    """``cpu_s`` and ``worker_s`` that blocks of `measured_effort` have taken; zeros where there was none."""
    try:
        found = json.loads((directory / _FILE).read_text(encoding="utf-8"))
        return {name: float(found[name]) for name in ("cpu_s", "worker_s")}
    except (OSError, ValueError, KeyError, TypeError):
        return {"cpu_s": 0.0, "worker_s": 0.0}


def evidence_of(found: ExperimentResult, spec: TrainingSpec, table: Table, context: RunContext) -> dict[str, Any]:
    """The evidence of a trained version, as JSON values.

    The model is trained by now: whatever goes wrong while it is explained becomes what ``refused`` says, and the model
    is kept; so it is where the job's time is over. Only a model file that cannot be read again is an error.

    Args:
        found: what the experiment left.
        spec: what it did.
        table: on what.
        context: the run's, where `measured_effort` has written.

    Returns:
        ``explanation`` (see `superpose.explain.explanation_sample`; ``refused`` says why there is none) and ``energy``:
        ``cpu_s``, ``worker_s``, ``cpu_watts``, ``energy_wh``, ``worker_second_usd``, ``provider_usd`` and ``cost_usd``;
        ``environment``: ``python``, ``system``, ``machine`` and ``cpu_threads`` of the worker.

    Raises:
        Stopped: the user has cancelled the job, or the worker stops; what is trained is on disk.
        OSError: the disk is full or can only be read; what is trained is on it.
    """
    from superpose.learning.predictor import Predictor

    predictor = Predictor.load(found.model_path)

    def explained() -> dict[str, Any]:
        from superpose.explain import explanation_sample
        from superpose.learning.splitting import splits_of

        explaining(context.on_event)

        rows = table.features.iloc[splits_of(spec, table)[0].test][list(predictor.feature_names)]
        return explanation_sample(predictor, rows, spec.training.seed, _look(context))

    return _evidence(explained, found.evaluation, context)


def evidence_of_rows(
    predictor: Predictor,
    rows: Any,
    context: RunContext,
    *,
    seed: int,
    evaluation: Any,
    most_rows: int,
    tell: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The evidence of a model whose predictions of ``rows`` are explained; see `evidence_of`.

    Args:
        predictor: the model.
        rows: a data frame with the model's columns, of which a sample is taken.
        context: the run's, where `measured_effort` has written.
        seed: of the sample.
        evaluation: the model's; says what a provider was paid.
        most_rows: of the sample.
        tell: see `superpose.explain.explanation_sample`.

    Raises:
        Stopped, OSError: as `evidence_of` does.
    """

    def explained() -> dict[str, Any]:
        from superpose.explain import explanation_sample

        if tell is None:
            explaining(context.on_event)
        return explanation_sample(predictor, rows, seed, _look(context), most_rows=most_rows, tell=tell)

    return _evidence(explained, evaluation, context)


def _look(context: RunContext) -> Callable[[], None]:
    """What ends an explanation: pictures that were enlarged take minutes."""
    from superpose.learning.checkpoint import Stopped

    def look() -> None:
        if not context.should_stop():
            return
        if context.time_over() and not context.cancelling():
            raise ExplanationError("The time for which workers may hold the job was over before it was explained.")
        raise Stopped("Stopped while the model was explained; another attempt takes up what is trained.")

    return look


def _evidence(explained: Callable[[], dict[str, Any]], evaluation: Any, context: RunContext) -> dict[str, Any]:
    """All evidence; ``explained`` makes the explanation sample."""
    from superpose.learning.checkpoint import Stopped

    try:
        with measured_effort(context.directory):
            explanation = explained()
    except Stopped:
        raise
    except SuperposeError as error:
        explanation = {"refused": error.message}
    except Exception as error:  # hours of training are not thrown away for a sample
        if isinstance(error, OSError) and is_of_the_disk(error):
            raise  # another attempt takes up what is trained, and explains it
        _log.error("explanation sample: %s", trace_of(error))
        explanation = {
            "refused": f"An unforeseen {type(error).__name__} while the model was explained; the worker's log has the "
            "place in the code, please report it. The model is not touched by it."
        }
    return {
        "explanation": explanation,
        "energy": _energy(effort_of(context.directory), context.config, evaluation),
        "environment": _environment(),
    }


def _environment() -> dict[str, Any]:
    """The class of machine, without its name: what a figure in seconds can be held against."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu_threads": os.cpu_count() or 1,
    }


def _energy(effort: dict[str, float], config: ServiceConfig, evaluation: Any) -> dict[str, float]:
    """Estimates: power of a busy thread times processor time; price of a worker's second times its seconds."""
    provider = ((evaluation.get("measured") or {}).get("in_all") or {}).get("cost_usd") or 0.0
    return {
        **effort,
        "cpu_watts": config.cpu_watts,
        "energy_wh": effort["cpu_s"] * config.cpu_watts / 3600.0,
        "worker_second_usd": config.worker_second_usd,
        "provider_usd": float(provider),
        "cost_usd": effort["worker_s"] * config.worker_second_usd + float(provider),
    }
