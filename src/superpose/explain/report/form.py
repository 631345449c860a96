"""Documents that no report can be made of: damaged, or written by another program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from superpose.errors import ModelFormatError

__all__ = ["in_known_form"]


@contextmanager
def in_known_form(what: str) -> Iterator[None]:
    """Within it, what a document lacks or has in another form is an error that says so.

    Args:
        what: the document, as the sentence begins: "What ... says".

    Raises:
        ModelFormatError: a field is absent or of another type.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ModelFormatError(
            f"What {what} says is not in this release's form ({type(error).__name__}: {str(error)[:100]}), so that no "
            "report can be written. Make it again with this release."
        ) from error
