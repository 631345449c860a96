"""What an experiment's numbers allow one to say: tests over splits and over test cases, and the words for them."""

from superpose.learning.verdicts.cases import CaseComparison, PairedCases, SeenCases, compare_cases
from superpose.learning.verdicts.comparison import Comparison, compare, mean_interval
from superpose.learning.verdicts.forecasts import FEWEST_ORIGINS, DieboldMariano, diebold_mariano, told_by
from superpose.learning.verdicts.seeds import spread
from superpose.learning.verdicts.wording import BASELINE_LABELS, LABELS, verdict

__all__ = [
    "BASELINE_LABELS",
    "FEWEST_ORIGINS",
    "LABELS",
    "CaseComparison",
    "Comparison",
    "DieboldMariano",
    "PairedCases",
    "SeenCases",
    "compare",
    "compare_cases",
    "diebold_mariano",
    "mean_interval",
    "spread",
    "told_by",
    "verdict",
]
