"""The worked example made trainable: X enters the circuit, and so the output is no longer linear in X.

In worked_pennylane.py the output is X . z(params). For every choice of the angles that is a linear function of X:
model(X + d) - 2 model(X) + model(X - d) is zero. Training moves four coefficients, between -1 and 1 at that; a linear
model does all of it without a quantum computer. Here each X[i] is an angle of its own (RX in front of the trained RY,
twice), so that second difference is not zero, and the circuit can learn what no linear model can: a product.
"""

import pennylane as qml
from pennylane import numpy as np

device = qml.device("superpose", wires=4)


@qml.qnode(device)
def circuit(X, params):
    """Return the expectation of Z on the first qubit, for one sample or a batch."""
    for layer in range(2):
        for i in range(4):
            qml.RX(X[..., i], wires=i)
            qml.RY(params[layer, i], wires=i)
        for i in range(4):
            qml.CNOT(wires=[i, (i + 1) % 4])
    return qml.expval(qml.PauliZ(0))


def second_difference(function, X, d):
    """Return how far a function is from linear along d."""
    return function(X + d) - 2 * function(X) + function(X - d)


def train(steps=60):
    """Fit sin(x0) sin(x1), and return the angles and the mean squared error before and after."""
    rng = np.random.default_rng(7)
    X = np.array(rng.uniform(-1.5, 1.5, (40, 4)), requires_grad=False)
    wanted = np.sin(X[:, 0]) * np.sin(X[:, 1])

    def error(params):
        return np.mean((circuit(X, params) - wanted) ** 2)

    params = np.array(rng.uniform(-1, 1, (2, 4)), requires_grad=True)
    optimizer, first = qml.AdamOptimizer(0.1), error(params)
    for _ in range(steps):
        params = optimizer.step(error, params)
    return params, float(first), float(error(params))


if __name__ == "__main__":
    params, before, after = train()
    X, d = np.array([0.5, 0.1, -0.3, 0.8]), np.array([0.3, 0.3, 0.0, 0.0])
    print(f"mean squared error {before:.4f} before, {after:.4f} after 60 steps")
    print(f"second difference in X {second_difference(lambda x: circuit(x, params), X, d):.4f}")
    print(f"{device.n_executions} circuits on the engine, of {device.n_structures} structures")
