"""A report as PDF, by WeasyPrint, which may load nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from superpose.errors import ExtraMissingError

__all__ = ["report_pdf"]


def report_pdf(html: bytes) -> bytes:
    """The pages of a report that `training_report` or `study_report` gave, as PDF.

    Args:
        html: the report; addresses in it are not followed.

    Raises:
        ExtraMissingError: WeasyPrint, or Pango, which it draws with, is not installed.

    Cost: seconds, and some hundred megabytes of memory.
    """
    try:
        from weasyprint import HTML
        from weasyprint.urls import URLFetcher
    except (ImportError, OSError) as error:  # OSError: its libraries are not there
        raise ExtraMissingError(
            "Reports as PDF need WeasyPrint and Pango: pip install 'superpose[report]' and, on Debian, apt install "
            "libpangoft2-1.0-0. Reports as HTML do not.",
            extra="report",
        ) from error

    fetcher = URLFetcher(allowed_protocols={"data"})  # pictures that the page holds itself, and nothing else
    page = HTML(string=html.decode("utf-8"), url_fetcher=fetcher)
    with _undated_fonts():
        content: bytes = page.write_pdf(pdf_identifier=b"superpose", pdf_tags=True)
    return content


_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def _undated_fonts() -> Iterator[None]:
    """No time of day in the fonts of a PDF, so that equal pages give equal bytes.

    Where HarfBuzz-Subset is not installed, WeasyPrint cuts fonts down with fontTools, which writes the time into them
    unless ``SOURCE_DATE_EPOCH`` is set; one that the user has set stays.
    """
    name = "SOURCE_DATE_EPOCH"
    with _ONE_AT_A_TIME:
        if name in os.environ:
            yield
            return
        os.environ[name] = "0"
        try:
            yield
        finally:
            del os.environ[name]
