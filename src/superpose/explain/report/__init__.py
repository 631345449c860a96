"""One report per training: a page that holds all of it and asks nothing of anybody, as HTML and as PDF."""

from superpose.explain.report.external import external_report
from superpose.explain.report.facts import ReportFacts
from superpose.explain.report.forecasts import demand_report
from superpose.explain.report.page import FORMATS, render_page
from superpose.explain.report.paper import report_pdf
from superpose.explain.report.study import study_report
from superpose.explain.report.training import training_report

__all__ = [
    "FORMATS",
    "ReportFacts",
    "demand_report",
    "external_report",
    "render_page",
    "report_pdf",
    "study_report",
    "training_report",
]
