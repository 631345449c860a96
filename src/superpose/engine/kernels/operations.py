"""The table of vector operations, and the one compiled function that runs any of them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from superpose.engine.kernels import bundles as b
from superpose.engine.kernels import diagonals as d
from superpose.engine.kernels import exchanges, slots, streams, walsh
from superpose.engine.kernels import layout as t
from superpose.engine.kernels import numbers as n
from superpose.engine.kernels import rotations as r
from superpose.engine.kernels.simd import Body, emit

__all__ = ["OPERATIONS", "operate"]

_REAL = ((t.REAL, True), (t.IMAGINARY, False))
_ROTATIONS: dict[int, tuple[Body, Body | None]] = {
    t.REAL: (b.rotate_bundle(1, scaled=False), b.adjoint_bundle(1, scaled=False)),
    t.REAL_2: (b.rotate_bundle(2, scaled=False), b.adjoint_bundle(2, scaled=False)),
    t.REAL_3: (b.rotate_bundle(3, scaled=False), None),  # at the start of a tape, where nothing is turned back
    t.SCALED_REAL: (b.rotate_bundle(1, scaled=True), b.adjoint_bundle(1, scaled=True)),
    t.SCALED_REAL_2: (b.rotate_bundle(2, scaled=True), b.adjoint_bundle(2, scaled=True)),
    t.SCALED_REAL_3: (b.rotate_bundle(3, scaled=True), b.adjoint_bundle(3, scaled=True)),
    t.IMAGINARY: (r.rotate(scaled=False), r.adjoint(scaled=False)),
    t.SCALED_IMAGINARY: (r.rotate(scaled=True), r.adjoint(scaled=True)),
    t.PAIR_IMAGINARY: (r.rotate_pair, r.adjoint_pair),
    t.DIAGONAL: (r.rotate_diagonal, r.adjoint_diagonal),
    t.DIAGONAL_2: (b.rotate_diagonals(2), b.adjoint_diagonals(2)),
    t.DIAGONAL_3: (b.rotate_diagonals(3), b.adjoint_diagonals(3)),
}
"""Forward and adjoint loops of each kind of rotations."""
_LANE_BITS = range(4)
_INSIDE = ((t.SWAP_LANE, exchanges.swap_inside), (t.FLIP_LANE, exchanges.flip_inside))
_EITHER: dict[int, Body] = {
    n.SINES: d.sines_of_halves,
    n.BUTTERFLIES: walsh.butterflies,
    n.BUTTERFLY_PAIRS: walsh.butterfly_pairs,
    n.WITHIN_VECTORS: walsh.within_vectors,
}
OPERATIONS: dict[int, Body] = {
    **{n.ROTATE + kind: rotate for kind, (rotate, _) in _ROTATIONS.items()},
    **{n.ADJOINT + kind: adjoint for kind, (_, adjoint) in _ROTATIONS.items() if adjoint},
    **{n.ROTATE + kind + bit: make(bit, slots.PSI) for kind, make in _INSIDE for bit in _LANE_BITS},
    **{n.ADJOINT + kind + bit: make(bit, slots.PSI, slots.LAM) for kind, make in _INSIDE for bit in _LANE_BITS},
    **{n.START + kind: r.start(real) for kind, real in _REAL},
    **{n.GRADIENT + kind: b.gradient_bundle(size) for kind, size in ((t.REAL, 1), (t.REAL_2, 2), (t.REAL_3, 3))},
    **{
        n.TURN_BACK + kind: b.turn_back_bundle(size)
        for kind, size in ((t.SCALED_REAL, 1), (t.SCALED_REAL_2, 2), (t.SCALED_REAL_3, 3))
    },
    n.GRADIENT + t.IMAGINARY: r.adjoint(scaled=True, turn_back=False),
    n.ROTATE_TABLE: d.rotate_table,
    n.ROTATE_TABLE + 1: d.rotate_table_wide,
    n.ADJOINT_TABLE: d.adjoint_table,
    n.ADJOINT_TABLE + 1: d.adjoint_table_wide,
    **{n.SWAP + bit: exchanges.swap(bit) for bit in _LANE_BITS},
    **{n.FLIP + bit: exchanges.flip(bit) for bit in _LANE_BITS},
    n.PROBABILITIES: d.probabilities,
    n.SCALE_ADJOINT: d.scale_adjoint,
    **{n.EXPECT + kind: d.expect(real) for kind, real in _REAL},
    **{n.WEIGH + kind: d.weigh(real) for kind, real in _REAL},
    n.EXPECT_DIAGONAL: d.expect_diagonal,
    n.WEIGH_DIAGONAL: d.weigh_diagonal,
    n.CLEAR: streams.clear,
    n.ADD_VECTORS: streams.add_vectors,
    n.PROBABILITY_ROWS: streams.probability_rows,
    n.SCALE_ROWS: streams.scale_rows,
    n.ADD_STRINGS: streams.add_strings,
    n.SPREAD_STRINGS: streams.spread_strings,
    n.SPREAD_ANGLES: streams.spread_angles,
    n.ADD_TERMS: streams.add_terms,
    **_EITHER,
}


def _dispatch(typingctx: Any, zero: Any, number: Any, block: Any) -> Any:
    """Run operation ``number`` on the arguments at the address ``block``."""
    signature = types.void(zero, types.int64, types.int64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        element = args[0].type
        table = [(number, body, element) for number, body in OPERATIONS.items()]
        table += [(number + n.FLOAT64, body, ir.DoubleType()) for number, body in _EITHER.items()]
        done = builder.append_basic_block("done")
        choice = builder.switch(args[1], done)
        for number, body, kind in table:
            function = emit(builder.module, f"superpose_operation_{number}", body, kind)
            with builder.goto_block(builder.append_basic_block(f"operation_{number}")):
                choice.add_case(ir.Constant(ir.IntType(64), number), builder.block)
                builder.call(function, [args[2]])
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


dispatch = intrinsic(_dispatch)


def operate(zero: Any, number: int, block: int) -> None:
    """Run operation ``number`` of the table; ``zero`` is a number of the tile's precision."""
    dispatch(zero, number, block)
