"""Trains the model of classifier.py on 100 of the 150 iris flowers, tests it on the other 50, and writes it into the
file.

python examples/functions/train_classifier.py prints the accuracies. With --check it writes nothing and fails where
the file differs.
"""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

from superpose import Observable, QuantumLayer

FILE = Path(__file__).with_name("classifier.py")
EPOCHS = 150


def train(seed=0):
    """Return the model as plain numbers, and its accuracies on training and test rows."""
    sample = runpy.run_path(str(FILE))
    rows, labels = load_iris(return_X_y=True)
    seen, unseen, seen_labels, unseen_labels = train_test_split(
        rows, labels, test_size=50, random_state=seed, stratify=labels
    )
    mean, deviation = seen.mean(axis=0), seen.std(axis=0)
    inputs = [f"x_{qubit}" for qubit in range(sample["N_QUBITS"])]
    observables = [Observable(text) for text in sample["OBSERVABLES"]]
    torch.manual_seed(seed)
    template = sample["template"]()
    layer = QuantumLayer.from_circuit(template, inputs, observables, dtype=torch.float64, seed=seed)
    linear = torch.nn.Linear(4, 3, dtype=torch.float64)
    optimizer = torch.optim.Adam([*layer.parameters(), *linear.parameters()], lr=0.05)
    targets = torch.as_tensor(seen_labels)

    def scores(values):
        return linear(layer(torch.as_tensor(np.pi / 2 * np.tanh((values - mean) / deviation))))

    for _ in range(EPOCHS):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(scores(seen), targets).backward()
        optimizer.step()
    names = [name for name in template.parameters if name not in inputs]
    model = {
        "weights": dict(zip(names, rounded(layer.weights), strict=True)),
        "mean": rounded(mean),
        "deviation": rounded(deviation),
        "matrix": [rounded(line) for line in linear.weight],
        "bias": rounded(linear.bias),
    }
    accuracies = [
        float((scores(values).argmax(dim=1).numpy() == wanted).mean())
        for values, wanted in ((seen, seen_labels), (unseen, unseen_labels))
    ]
    return model, accuracies


def rounded(values):
    """Numbers to four digits, which change no class here."""
    return [round(float(value), 4) for value in values]


def main():
    """Train, and write the model or compare it."""
    model, (seen, unseen) = train()
    print(f"accuracy on 100 training rows {seen:.2f}, on 50 test rows {unseen:.2f}")
    before, marker, rest = FILE.read_text(encoding="utf-8").partition("MODEL = ")
    after = rest[rest.index("\n\n\n") :]
    text = f"{before}{marker}{json.dumps(model, indent=4)}  # trained{after}"
    if "--check" in sys.argv:
        return int(runpy.run_path(str(FILE))["MODEL"] != model)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
