"""An experiment: the hybrid model, its controls and the baseline, trained on the same splits and compared.

The work is cut into units, one per split and variant. Each leaves its result in a file, and the one that trains leaves
checkpoints, so that the same call on the same directory continues after a crash, and ends with the same bytes as a run
that was never disturbed.

`run.py` has what a run knows, `split_data.py` a split's rows, `unit.py` the work, `document.py` the evaluation,
`model.py` the model file, `running.py` the order of it all.
"""

from superpose.learning.experiment.running import ExperimentResult, run_experiment, train_on_splits

__all__ = ["ExperimentResult", "run_experiment", "train_on_splits"]
