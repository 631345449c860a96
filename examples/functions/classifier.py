"""A trained hybrid classifier of iris flowers: a circuit of four qubits between a scaling and a linear layer.

Input {"rows": [[5.1, 3.5, 1.4, 0.2]]} (sepal length and width, petal length and width in cm), output {"classes":
["setosa"], "probabilities": [[0.98, 0.02, 0.0]]}. What was trained stands in MODEL below, as numbers;
train_classifier.py beside this file trained it and writes it again. A classical model of this size does as well on
these flowers.
"""

import math

CLASSES = ["setosa", "versicolor", "virginica"]
N_QUBITS = 4
LAYERS = 2
OBSERVABLES = ["ZIII", "IZII", "IIZI", "IIIZ"]
INPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "rows": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1000,
            "items": {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "number"}},
        }
    },
    "required": ["rows"],
    "additionalProperties": False,
}
MODEL = {
    "weights": {
        "w_0_0_z": -0.102,
        "w_0_0_y": 1.9177,
        "w_0_1_z": -3.202,
        "w_0_1_y": -1.7254,
        "w_0_2_z": -0.1372,
        "w_0_2_y": 0.5008,
        "w_0_3_z": 0.038,
        "w_0_3_y": 1.2955,
        "w_1_0_z": 0.1563,
        "w_1_0_y": 0.7978,
        "w_1_1_z": 0.1767,
        "w_1_1_y": -0.9493,
        "w_1_2_z": -2.2316,
        "w_1_2_y": -2.4327,
        "w_1_3_z": -3.4049,
        "w_1_3_y": -0.3792,
        "w_last_0": 0.5735,
        "w_last_1": 2.4652,
        "w_last_2": -0.7252,
        "w_last_3": -0.3065,
    },
    "mean": [5.876, 3.057, 3.786, 1.203],
    "deviation": [0.8511, 0.4568, 1.7877, 0.7566],
    "matrix": [
        [2.4924, 2.6725, -2.1842, 2.7008],
        [-2.396, -2.4528, -3.5884, 1.6194],
        [-1.0961, -1.6794, 3.5807, -3.4662],
    ],
    "bias": [-0.8168, 0.8792, -0.6251],
}  # trained


def template():
    """The circuit with its weights as parameters: a turn by each input, two layers of rotations and CZ in a ring."""
    import superpose

    made = superpose.Circuit(N_QUBITS)
    for qubit in range(N_QUBITS):
        made.ry(superpose.Parameter(f"x_{qubit}"), qubit)
    for layer in range(LAYERS):
        for qubit in range(N_QUBITS):
            made.rz(superpose.Parameter(f"w_{layer}_{qubit}_z"), qubit)
            made.ry(superpose.Parameter(f"w_{layer}_{qubit}_y"), qubit)
        for qubit in range(N_QUBITS):
            made.cz(qubit, (qubit + 1) % N_QUBITS)
    for qubit in range(N_QUBITS):
        made.ry(superpose.Parameter(f"w_last_{qubit}"), qubit)
    return made


def circuit():
    """The circuit with its trained weights; what is left open are the inputs."""
    return template().bind(MODEL["weights"])


def pre(input):
    """Scale each value to an angle."""
    scaled = [
        [
            math.pi / 2 * math.tanh((value - mean) / deviation)
            for value, mean, deviation in zip(row, MODEL["mean"], MODEL["deviation"], strict=True)
        ]
        for row in input["rows"]
    ]
    return {f"x_{qubit}": [row[qubit] for row in scaled] for qubit in range(N_QUBITS)}


def post(result, input):
    """Put the expectations through the linear layer and the softmax."""
    probabilities = []
    for row in result["expectations"]:
        scores = [
            bias + sum(k * value for k, value in zip(line, row, strict=True))
            for line, bias in zip(MODEL["matrix"], MODEL["bias"], strict=True)
        ]
        shares = [math.exp(score - max(scores)) for score in scores]
        probabilities.append([round(share / sum(shares), 4) for share in shares])
    return {"classes": [CLASSES[row.index(max(row))] for row in probabilities], "probabilities": probabilities}
