"""A function as the text of its file: what travels instead of a pickle. Reading it executes nothing."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from superpose.errors import JobFunctionError
from superpose.functions.options import JobOptions

__all__ = ["MAX_SOURCE_BYTES", "FunctionSource", "read_function"]

MAX_SOURCE_BYTES = 1_000_000
"""Largest file that a function may stand in."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class FunctionSource:
    """A function of a Python file.

    Attributes:
        file: the file's name, without directories.
        function: name of the function, at the top level of the file.
        text: the whole file.
    """

    file: str
    function: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def options(self) -> JobOptions:
        """Options that stand at the decorator as plain values.

        Raises:
            JobFunctionError: the function is not there or not decorated, or its options are no plain values.
        """
        found = self._definition()
        for decorator in found.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            name = call.func if call else decorator
            if (isinstance(name, ast.Attribute) and name.attr == "job") or (
                isinstance(name, ast.Name) and name.id == "job"
            ):
                return JobOptions.of(self._plain(call) if call else {})
        raise JobFunctionError(
            f"{self.file} line {found.lineno}: {self.function} is not decorated; write @superpose.job above it."
        )

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Make sure that the function takes these parameters by name, behind the context.

        Raises:
            JobFunctionError: it does not, or the file is not Python.
        """
        found = self._definition()
        given, place = found.args, f"{self.file} line {found.lineno}: {self.function}"
        if isinstance(found, ast.AsyncFunctionDef):
            raise JobFunctionError(
                f"{self.file} line {found.lineno}: {self.function} is async; a job is a plain function."
            )
        positional = [a.arg for a in (*given.posonlyargs, *given.args)]
        if not positional:
            raise JobFunctionError(f"{place} must take the context first: def {self.function}(ctx, ...).")
        required = set(positional[1 : len(positional) - len(given.defaults)]) if positional else set()
        required |= {a.arg for a, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None}
        known = {*positional[1:], *(a.arg for a in given.kwonlyargs)}
        absent, unknown = sorted(required - set(params)), sorted(set(params) - known)
        if absent or (unknown and given.kwarg is None):
            told = [f"needs {', '.join(absent)}"] if absent else []
            told += [f"does not take {', '.join(unknown)}"] if unknown and given.kwarg is None else []
            raise JobFunctionError(f"{place} {' and '.join(told)}.")

    def _definition(self) -> Definition:
        for node in self._tree().body:
            if isinstance(node, Definition) and node.name == self.function:
                return node
        names = ", ".join(sorted(name for name in self._decorated())) or "none"
        raise JobFunctionError(
            f"{self.file} has no function {self.function!r} at its top level; its jobs are: {names}.",
            function=self.function,
        )

    def _decorated(self) -> Iterator[str]:
        for node in self._tree().body:
            if isinstance(node, Definition) and node.decorator_list:
                yield node.name

    def _tree(self) -> ast.Module:
        try:
            return ast.parse(self.text, self.file)
        except SyntaxError as error:
            raise JobFunctionError(
                f"{self.file} line {error.lineno}: {error.msg}; it is no Python that runs here."
            ) from None
        except (ValueError, RecursionError, MemoryError):
            raise JobFunctionError(f"{self.file} cannot be read as Python.") from None

    def _plain(self, call: ast.Call) -> dict[str, Any]:
        try:
            if call.args or any(word.arg is None for word in call.keywords):
                raise ValueError
            return {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            raise JobFunctionError(
                f"{self.file} line {call.lineno}: the options of @superpose.job must be plain values given by name, "
                "such as checkpoint=True."
            ) from None

    @classmethod
    def of_file(cls, path: Path, function: str) -> Self:
        """A function of a file.

        Raises:
            JobFunctionError: the file cannot be read, or is too large.
        """
        try:
            content = path.read_bytes()
            text = content.decode("utf-8")
        except OSError as error:
            raise JobFunctionError(f"{path} cannot be read: {error.strerror}.", path=str(path)) from None
        except UnicodeDecodeError:
            raise JobFunctionError(f"{path} is not UTF-8 text.", path=str(path)) from None
        if len(content) > MAX_SOURCE_BYTES:
            raise JobFunctionError(f"{path} has {len(content):,} bytes; at most {MAX_SOURCE_BYTES:,} are sent.")
        return cls(path.name, function, text)


def read_function(reference: str) -> FunctionSource:
    """The function that ``FILE.py:NAME`` names; the file is not executed.

    Raises:
        JobFunctionError: there is no such file.
    """
    path, _, name = reference.rpartition(":")
    if not path.endswith(".py") or not name.isidentifier():
        raise JobFunctionError(f"{reference[:200]!r} names no function; write FILE.py:NAME.")
    return FunctionSource.of_file(Path(path).expanduser(), name)
