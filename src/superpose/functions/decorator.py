"""`@superpose.job`: a function that can also be submitted."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, overload

from superpose.errors import JobFunctionError
from superpose.functions.context import LocalContext
from superpose.functions.options import JobOptions
from superpose.functions.source import FunctionSource

__all__ = ["JobFunction", "Submitted", "job"]


class Submitted(Protocol):
    """A job as the service tells it."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


class _Jobs(Protocol):
    def submit(self, function: Any, params: Mapping[str, Any], *, copy_from: str | None) -> Any: ...


class _Client(Protocol):
    @property
    def jobs(self) -> _Jobs: ...


class JobFunction:
    """A function that runs here when called, and on the service when submitted.

    Attributes:
        function: what was decorated.
        options: how it wants to be run.
    """

    def __init__(self, function: Callable[..., Any], options: JobOptions) -> None:
        functools.update_wrapper(self, function)
        self.function, self.options = function, options

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself."""
        return self.function(*args, **kwargs)

    @property
    def source(self) -> FunctionSource:
        """The text of the file that the function stands in.

        Raises:
            JobFunctionError: it stands in no file (a notebook, a prompt), or not at the top level of one.
        """
        name = self.function.__qualname__
        if "." in name:
            raise JobFunctionError(f"{name} is not at the top level of its file; only such functions can be sent.")
        try:
            path = Path(inspect.getsourcefile(self.function) or "")
        except TypeError:
            path = Path()
        if path.suffix != ".py" or not path.is_file():
            raise JobFunctionError(
                f"{name} stands in no Python file; what travels is the file's text, so write it into one and import it."
            )
        return FunctionSource.of_file(path, name)

    def submit(self, client: _Client | None = None, *, copy_from: str | None = None, **params: Any) -> Any:
        """Submit the function with these parameters to your own service, where ``allow_user_code`` is set.

        Args:
            client: a `Client`; by default one of the service that runs here.
            copy_from: id of a finished job whose checkpoint directory this one starts with.
            params: JSON values, given to the function by name.

        Raises:
            JobFunctionError: the function stands in no file, or does not take these parameters.
            ApiError: the service runs no user code (``service.user_code``), or refuses the submission otherwise.
        """
        if client is not None:
            return client.jobs.submit(self, params, copy_from=copy_from)
        import superpose

        with superpose.Client() as own:
            return own.jobs.submit(self, params, copy_from=copy_from)

    def run_here(self, directory: Path | str, **params: Any) -> Any:
        """Call the function with a `LocalContext` on a directory; again with the same one, it resumes."""
        return self.function(LocalContext(directory, params), **params)


@overload
def job(function: Callable[..., Any]) -> JobFunction: ...


@overload
def job(
    *, checkpoint: bool = False, retries: int = 0, timeout_s: float | None = None
) -> Callable[[Callable[..., Any]], JobFunction]: ...


def job(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Make a function one that can run as a durable job.

    The function takes a `JobContext` first and its parameters by name. Its file's text is what travels, and the service
    runs it in a process of its own, if its operator allows user code.

    Args:
        function: what is decorated, where no options are given.
        options: ``checkpoint`` keeps ``ctx.checkpoint_dir`` between attempts; ``retries`` is how many attempts may end
            with an exception; ``timeout_s`` bounds one attempt.

    Raises:
        JobFunctionError: an option is unknown or out of its range.

    >>> @job(checkpoint=True, retries=2)
    ... def double(ctx, n):
    ...     return 2 * n
    >>> double(None, 4), double.options.retries
    (8, 2)
    """
    chosen = JobOptions.of(options)
    return JobFunction(function, chosen) if function is not None else lambda decorated: JobFunction(decorated, chosen)
