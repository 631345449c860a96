"""A large cut of the Petersen graph (10 nodes, 15 edges) by QAOA with one layer, in pytket.

Input {}, output {"cut": 12, "sides": "0101101001", "mean_cut": 10.4}: the best of 1000 samples, and their mean. The
largest cut of this graph has 12 edges. With {"gamma": g, "beta": b} other angles are tried; those used otherwise
are the best for graphs of three edges a node without triangles (Wang, Hadfield, Jiang, Rieffel 2018, arXiv
1706.02998), where an edge is cut with probability 0.6925.
"""

import math

EDGES = (
    [(k, (k + 1) % 5) for k in range(5)] + [(k, k + 5) for k in range(5)] + [(5 + k, 5 + (k + 2) % 5) for k in range(5)]
)
N_NODES = 10
SHOTS = 1000
GAMMA, BETA = math.atan(1 / math.sqrt(2)), math.pi / 8
INPUT_SCHEMA = {
    "type": "object",
    "properties": {"gamma": {"type": "number"}, "beta": {"type": "number"}},
    "additionalProperties": False,
}


def circuit():
    """exp(-i gamma C) with C the number of cut edges, up to a phase; then exp(-i beta X) on each node."""
    import sympy
    from pytket.circuit import Circuit

    gamma, beta = sympy.symbols("gamma beta")
    made = Circuit(N_NODES, N_NODES)
    for node in range(N_NODES):
        made.H(node)
    for a, b in EDGES:
        made.ZZPhase(-gamma / sympy.pi, a, b)  # in half turns: exp(i gamma ZZ / 2)
    for node in range(N_NODES):
        made.Rx(2 * beta / sympy.pi, node)
        made.Measure(node, node)
    return made


def pre(input):
    """Take the best angles where none are given."""
    return {"gamma": input.get("gamma", GAMMA), "beta": input.get("beta", BETA)}


def post(result, input):
    """Count the cut edges of each sample."""
    counts = result["counts"][0]
    cuts = {sides: sum(sides[a] != sides[b] for a, b in EDGES) for sides in counts}
    best = max(cuts, key=lambda sides: (cuts[sides], counts[sides]))
    mean = sum(cuts[sides] * number for sides, number in counts.items()) / result["shots"]
    return {"cut": cuts[best], "sides": best, "mean_cut": round(mean, 3)}
