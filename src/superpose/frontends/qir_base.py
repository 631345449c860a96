"""QIR of the base profile, written as text: gates and measurements at the end, without control flow.

Source: QIR specification, base profile; the dialect (typed pointers, QIR 1.0, names of gates) is that of the compiler
of the Quantum Development Kit 1.33.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from superpose.circuits import Circuit, Instruction
from superpose.errors import ConversionError
from superpose.frontends.words import expanded

__all__ = ["ENTRY_POINT", "write"]

ENTRY_POINT: Final = "ENTRYPOINT__main"
_GATES: Mapping[str, str] = MappingProxyType(
    {
        "h": "h__body", "x": "x__body", "y": "y__body", "z": "z__body", "s": "s__body", "sdg": "s__adj", "t": "t__body",
        "tdg": "t__adj", "rx": "rx__body", "ry": "ry__body", "rz": "rz__body", "p": "rz__body", "cx": "cx__body",
        "cz": "cz__body", "swap": "swap__body", "id": "",
    }
)  # fmt: skip
"""QIR's name of each gate; "p" is "rz" up to a phase of the whole state, "id" is nothing."""
_RECORDS: Final = ("array_record_output(i64, i8*)", "result_record_output(%Result*, i8*)")
_TEXT: Final = """\
%Result = type opaque
%Qubit = type opaque

{labels}

define i64 @{entry_point}() #0 {{
block_0:
{calls}
  ret i64 0
}}

{declared}

attributes #0 = {{ "entry_point" "output_labeling_schema" "qir_profiles"="base_profile" \
"required_num_qubits"="{n_qubits}" "required_num_results"="{n_results}" }}
attributes #1 = {{ "irreversible" }}

!llvm.module.flags = !{{!0, !1, !2, !3}}

!0 = !{{i32 1, !"qir_major_version", i32 1}}
!1 = !{{i32 7, !"qir_minor_version", i32 0}}
!2 = !{{i32 1, !"dynamic_qubit_management", i1 false}}
!3 = !{{i32 1, !"dynamic_result_management", i1 false}}
"""


def write(circuit: Circuit) -> str:
    """Return a circuit without parameters, measured at its end only, as the text of a QIR module.

    The module's output is one array: the measured bits in ascending order. Barriers and delays say nothing there.

    Raises:
        ConversionError: It measures before its end, or holds what the base profile has no words for.

    >>> print(write(Circuit(1, n_bits=1).h(0).measure(0, 0)).splitlines()[7].strip())
    call void @__quantum__rt__initialize(i8* null)
    """
    body, final = circuit.without_final_measurements()
    if not body.is_unitary or body.parameters:
        raise ConversionError(
            "The base profile of QIR holds gates with numbers and measurements at the end only; bind the parameters, "
            "leave out measurements in the middle, resets and noise.",
            toolkit="QIR",
        )
    calls = [call for item in body.instructions if isinstance(item, Instruction) for call in expanded(item, _GATES)]
    lines = ["call void @__quantum__rt__initialize(i8* null)", *map(_gate, filter(lambda c: _GATES[c.gate], calls))]
    measured = sorted((item.bit, item.qubit) for item in final)
    lines += [f"call void @__quantum__qis__m__body({_qubit(q)}, {_result(n)})" for n, (_, q) in enumerate(measured)]
    labels = ["0_a", *(f"{n + 1}_a{n}r" for n in range(len(measured)))]
    sizes = [len(label) + 1 for label in labels]

    def label(n: int) -> str:
        return f"i8* getelementptr inbounds ([{sizes[n]} x i8], [{sizes[n]} x i8]* @{n}, i64 0, i64 0)"

    lines.append(f"call void @__quantum__rt__array_record_output(i64 {len(measured)}, {label(0)})")
    for n in range(len(measured)):
        lines.append(f"call void @__quantum__rt__result_record_output({_result(n)}, {label(n + 1)})")
    constants = (f'@{n} = internal constant [{sizes[n]} x i8] c"{one}\\00"' for n, one in enumerate(labels))
    return _TEXT.format(
        labels="\n".join(constants),
        entry_point=ENTRY_POINT,
        calls="\n".join(f"  {line}" for line in lines),
        declared="\n".join(_declared(calls)),
        n_qubits=circuit.n_qubits,
        n_results=len(measured),
    )


def _gate(call: Instruction) -> str:
    angles = [f"double {_number(angle.constant)}" for angle in call.angles]
    return f"call void @__quantum__qis__{_GATES[call.gate]}({', '.join([*angles, *map(_qubit, call.qubits)])})"


def _declared(calls: list[Instruction]) -> Iterator[str]:
    yield "declare void @__quantum__rt__initialize(i8*)"
    signatures = {_GATES[call.gate]: (len(call.angles), len(call.qubits)) for call in calls if _GATES[call.gate]}
    for name, (n_angles, n_qubits) in sorted(signatures.items()):
        yield f"declare void @__quantum__qis__{name}({', '.join(['double'] * n_angles + ['%Qubit*'] * n_qubits)})"
    yield "declare void @__quantum__qis__m__body(%Qubit*, %Result*) #1"
    yield from (f"declare void @__quantum__rt__{record}" for record in _RECORDS)


def _number(value: float) -> str:
    """A double as LLVM reads it: with a point, exactly."""
    mantissa, _, exponent = repr(float(value)).partition("e")
    mantissa = mantissa if "." in mantissa else mantissa + ".0"
    return f"{mantissa}e{exponent}" if exponent else mantissa


def _qubit(number: int) -> str:
    return f"%Qubit* inttoptr (i64 {number} to %Qubit*)"


def _result(number: int) -> str:
    return f"%Result* inttoptr (i64 {number} to %Result*)"
