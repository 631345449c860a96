"""A report as PDF, by WeasyPrint, which may load nothing."""

from __future__ import annotations

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
    content: bytes = HTML(string=html.decode("utf-8"), url_fetcher=fetcher).write_pdf(
        pdf_identifier=b"superpose", pdf_tags=True
    )
    return content
