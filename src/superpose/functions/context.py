"""What a job's function receives as its first argument."""

from __future__ import annotations

import hashlib
import math
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from superpose.errors import JobFunctionError

__all__ = ["JobContext", "LocalContext", "check_artifact_name", "check_metrics"]

_METRIC = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./ -]{0,99}")
_ARTIFACT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_. -]{0,99}){0,7}")


class JobContext(ABC):
    """The job around a running function: its parameters, a directory that outlasts attempts, metrics, artifacts.

    Calls raise `JobStoppedError` once the job is cancelled or its worker stops: let it pass, after saving a checkpoint
    if you like. A function that goes on regardless is killed after some seconds.

    Attributes:
        params: the parameters of the submission, also given to the function by name.
        job_id: the job's id.
        attempt: number of this attempt, from 1.
    """

    params: Mapping[str, Any]
    job_id: str
    attempt: int

    @property
    @abstractmethod
    def checkpoint_dir(self) -> Path:
        """A directory in which earlier attempts' files are, and those of the job that this one was copied from.

        Write a file beside its place and rename it, so that a kill never leaves half of one.

        Raises:
            JobFunctionError: the function is not decorated with ``checkpoint=True``.
        """

    @abstractmethod
    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Store several numbers of one step durably; the last value of a name and step counts, also after a resume.

        Raises:
            JobFunctionError: a name or number that cannot be stored.
            JobStoppedError: the job is cancelled or its worker stops.
        """

    @abstractmethod
    def artifact(self, path: str | Path, name: str | None = None) -> str:
        """Store a file, or all files of a directory, as an output of the job; returns the SHA-256 (of files only).

        Args:
            path: in the working or checkpoint directory.
            name: by default the file's own; a later file of the same name takes its place.

        Raises:
            JobFunctionError: no such file, or one elsewhere; a name that cannot be stored.
            JobStoppedError: the job is cancelled or its worker stops.
        """

    @abstractmethod
    def progress(self, fraction: float, message: str = "") -> None:
        """Say how far the job is, 0 to 1.

        Raises:
            JobStoppedError: the job is cancelled or its worker stops.
        """

    @abstractmethod
    def should_stop(self) -> bool:
        """Whether the job is cancelled or its worker stops, for a function that wants to end by itself."""

    @final
    def log_metric(self, name: str, value: float, step: int) -> None:
        """Store one number durably; see `log_metrics`."""
        self.log_metrics({name: value}, step)


@final
class LocalContext(JobContext):
    """A context in this process, for trying a function out: everything stays in a directory.

    Args:
        directory: of this run; call again with the same one to resume.
        params: the parameters.
    """

    def __init__(self, directory: Path | str, params: Mapping[str, Any]) -> None:
        self._directory = Path(directory)
        self.params = dict(params)
        self.job_id, self.attempt = "local", 1
        self.metrics: dict[str, dict[int, float]] = {}

    @property
    def checkpoint_dir(self) -> Path:
        """See `JobContext`."""
        path = self._directory / "checkpoint"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """See `JobContext`."""
        for name, value in check_metrics(values, step).items():
            self.metrics.setdefault(name, {})[step] = value

    def artifact(self, path: str | Path, name: str | None = None) -> str:
        """See `JobContext`."""
        source = Path(path)
        target = self._directory / "artifacts" / check_artifact_name(name or source.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
            return ""
        if not source.is_file():
            raise JobFunctionError(f"There is no file {str(path)!r} to store.")
        shutil.copyfile(source, target)
        return hashlib.sha256(target.read_bytes()).hexdigest()

    def progress(self, fraction: float, message: str = "") -> None:
        """See `JobContext`."""

    def should_stop(self) -> bool:
        """See `JobContext`."""
        return False


def check_metrics(values: Mapping[str, float], step: int) -> dict[str, float]:
    """Metrics that can be stored, as plain floats.

    Raises:
        JobFunctionError: a name, number or step that cannot.
    """
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < 2**53:
        raise JobFunctionError(f"step must be a whole number of at least 0, got {step!r}.")
    found = {}
    for name, value in values.items():
        if not isinstance(name, str) or not _METRIC.fullmatch(name):
            raise JobFunctionError(
                f"A metric's name has 1 to 100 letters, digits, blanks and _ . / -, got {str(name)[:120]!r}."
            )
        try:
            number = float(value)
        except OverflowError:
            raise JobFunctionError(
                f"Metric {name!r} must be finite, got a whole number beyond the largest float at step {step}."
            ) from None
        except (TypeError, ValueError):
            raise JobFunctionError(f"Metric {name!r} must be a number, got {type(value).__name__}.") from None
        if not math.isfinite(number):
            raise JobFunctionError(f"Metric {name!r} must be finite, got {number} at step {step}.")
        found[name] = number
    return found


def check_artifact_name(name: str) -> str:
    """An artifact's name: at most eight plain parts.

    Raises:
        JobFunctionError: it is not.
    """
    if not _ARTIFACT.fullmatch(name):
        raise JobFunctionError(
            "An artifact's name has at most 8 parts of letters, digits, blanks and _ . -, with / between; got "
            f"{name[:120]!r}."
        )
    return name
