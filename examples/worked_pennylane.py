"""Four qubits in a ring, four angles; the output is the dot product of X with the expectations of Z.

X never enters the circuit. So the model is linear in X, whatever the angles: the quantum part gives four numbers, and a
linear classifier has four such numbers without it. See worked_pennylane_trainable.py for one that is not.
"""

import pennylane as qml
from pennylane import numpy as np

device = qml.device("superpose", wires=4)


@qml.qnode(device)
def circuit(params):
    """Return the expectation of Z on each qubit."""
    for i in range(4):
        qml.RY(params[i], wires=i)
        qml.CNOT(wires=[i, (i + 1) % 4])
    return [qml.expval(qml.PauliZ(i)) for i in range(4)]


def model(X, params):
    """Return the model's output for one sample."""
    return np.dot(X, circuit(params))


if __name__ == "__main__":
    X = np.array([0.5, 0.1, -0.3, 0.8], requires_grad=False)
    params = np.array([0.2, 0.6, 0.1, 0.7], requires_grad=True)
    print(model(X, params))
