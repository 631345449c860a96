"""Makes OpenQASM texts by a grammar, and by damaging published ones, and looks for crashes and hangs of the reader.

``python -m tests.circuits.qasm_fuzzer --minutes 5 --seed 1`` runs for minutes and prints counts; a text that crashes or
hangs is printed whole, and the command fails. Any outcome but a circuit or a `QasmError` is a crash; a hang is a text
that takes more than `MAX_SECONDS` of CPU time although it may expand to `MAX_INSTRUCTIONS` steps only. A text that is
read is also written, and must come back equal.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import yaml

from superpose.circuits import from_qasm, to_qasm
from superpose.errors import QasmError

MAX_SECONDS = 5.0
MAX_INSTRUCTIONS = 2_000
MAX_TEXT = 20_000
REPO = Path(__file__).parents[2]
DATA = REPO.parent / "shared" / "data" / "circuits"

_GATES_3 = ("x", "h", "rx", "cx", "ccx", "U", "u3", "p", "cp", "cswap", "gphase", "g", "k", "cu", "nosuch")
_TYPES = ("int", "uint[4]", "float", "angle", "bool", "bit[3]", "duration", "int[8]", "complex", "array[int, 3]")
_NAMES = ("a", "b", "n", "i", "t", "q", "r", "c", "d", "π", "x", "_", "pi")
_NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "-1",
    "0.5",
    "1e3",
    "2e-9",
    "0x1F",
    "0b10",
    "1_0",
    "10ns",
    "2us",
    "9" * 30,
    "1e400",
    ".5",
    "2**62",
)
_SIGNS = tuple(
    [
        "+",
        "-",
        "*",
        "/",
        "%",
        "**",
        "<<",
        ">>",
        "&",
        "|",
        "^",
        "&&",
        "||",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "++",
        "=",
        "->",
        "@",
        ":",
        ";",
    ]
)
_FUNCTIONS = (
    "sin",
    "arccos",
    "sqrt",
    "log",
    "mod",
    "pow",
    "popcount",
    "rotl",
    "floor",
    "int[3]",
    "uint",
    "bool",
    "bit[2]",
    "sizeof",
)
_WORDS = (
    "OPENQASM 3;", "OPENQASM 2.0;", 'include "stdgates.inc";', 'include "qelib1.inc";', "qubit[3] q;", "bit[3] c;",
    "for int i in [0:2]", "if (c[0])", "else", "{", "}", "(", ")", "[", "]", "/*", "*/", "//", '"', "@a b\n",
    "pragma z\n",
    "let d = q[0:1] ++ q[2];", "ctrl(2) @", "negctrl @", "inv @", "pow(3) @", "gate g(t) a { rx(t) a; }",
    "measure", "reset",
    "barrier", "delay[1ns]", "gphase(pi)", "input float", "output bit", "const int n = 2;", "def f() {", "while (true)",
    "switch (a) { case 1 { } }", "box", "$0", "é", "\x00", "\ufeff", "opaque", "qreg q[2];", "creg c[2];", "#", "`",
)  # fmt: skip


class Grammar:
    """Random programs of OpenQASM 3: every second one sound, so that it is read; the others with anything anywhere."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.is_sound = False
        self.n_names = 0

    def pick(self, items: tuple[str, ...] | list[str]) -> str:
        return self.random.choice(items)

    def program(self) -> str:
        head = 'OPENQASM 3.0; include "stdgates.inc"; input float a; const int n = 2; float t = 0.5;\n'
        head += "qubit[4] q; qubit r; bit[3] c; bit d;\n"
        gates = "gate g(t) b { rx(2 * t) b; gphase(t); } gate k b, s { cx b, s; inv @ g(0.5) s; }\n"
        self.is_sound = self.random.random() < 0.5
        body = "\n".join(self.statement(0) for _ in range(self.random.randint(1, 8)))
        return (head if self.random.random() < 0.95 else "") + (gates if self.random.random() < 0.8 else "") + body

    def expression(self, depth: int = 0) -> str:
        kind = self.random.random()
        if depth > 4 or kind < 0.35:
            return self.pick(_NUMBERS)
        if kind < 0.55:
            return self.pick(_NAMES) + (f"[{self.index(depth + 1)}]" if self.random.random() < 0.2 else "")
        if kind < 0.85:
            sign = self.pick(_SIGNS[:17])
            return f"{self.expression(depth + 1)} {sign} {self.expression(depth + 1)}"
        if kind < 0.92:
            return f"{self.pick(['-', '!', '~'])}({self.expression(depth + 1)})"
        arguments = [self.expression(depth + 1) for _ in range(self.random.choice([1, 1, 2]))]
        return f"{self.pick(_FUNCTIONS)}({', '.join(arguments)})"

    def index(self, depth: int) -> str:
        kind = self.random.random()
        if kind < 0.6:
            return self.pick(["0", "1", "2", "3", "-1", "i", "n", "i + 1"])
        if kind < 0.8:
            return self.pick(["0:1", "1:", ":2", "0:2:3", "3:-1:0", ":", f"{self.expression(depth)}:2"])
        return self.pick(["{0, 2}", "{1}", "{n, 0,}", f"{{{self.expression(depth)}}}"])

    def operand(self) -> str:
        return self.pick(["q", "r", "c", "d", "e"]) + (f"[{self.index(3)}]" if self.random.random() < 0.6 else "")

    def call(self) -> str:
        modifiers = "".join(
            self.pick(
                ["ctrl @ ", "negctrl @ ", "inv @ ", f"pow({self.expression(3)}) @ ", "ctrl(2) @ ", "pow(99999) @ "]
            )
            for _ in range(self.random.choice([0, 0, 0, 1, 2]))
        )
        name = self.pick(_GATES_3)
        n_angles = {"rx": 1, "p": 1, "cp": 1, "g": 1, "gphase": 1, "U": 3, "u3": 3, "cu": 4}.get(name, 0)
        n_qubits = {"cx": 2, "cp": 2, "k": 2, "cu": 2, "ccx": 3, "cswap": 3, "gphase": 0}.get(
            name, 1
        ) + modifiers.count("ctrl")
        angles = f"({', '.join(self.expression(2) for _ in range(n_angles))})" if n_angles else ""
        return f"{modifiers}{name}{angles} {', '.join(self.operand() for _ in range(n_qubits))};"

    def block(self, depth: int) -> str:
        return "{ " + " ".join(self.statement(depth + 1) for _ in range(self.random.randint(0, 3))) + " }"

    def sound(self, depth: int) -> str:
        """A statement that means something wherever it stands."""
        one, two, three = self.random.sample(["q[0]", "q[1]", "q[2]", "q[3]", "r"], 3)
        bit, angle = (
            self.pick(["c[0]", "c[-1]", "d"]),
            self.pick(["a", "2 * a + t", "-pi / n", "1e-3", "sin(t)", "t * n - a"]),
        )
        self.n_names += 1
        name = f"v{self.n_names}"
        simple = [
            f"h {one};", f"rx({angle}) {one};", f"cx {one}, {two};",
            f"ctrl @ negctrl @ p({angle}) {one}, {two}, {three};",
            f"inv @ g({angle}) {one};", f"pow(-3) @ k {one}, {two};", f"ctrl(2) @ gphase({angle}) {one}, {two};",
            f"{bit} = measure {one};", f"reset {one};", f"barrier {one}, {two};",
            f"delay[{self.random.randint(1, 9)} * 5ns] {one};",
            f"let {name} = q[{self.pick(['0:2', '3:-2:0', '{1, 3}', ':'])}] ++ r; h {name};", "cx q[0:1], q[2:3];",
            f"int[8] {name} = {self.random.randint(-9, 9)}; {name} += n; rx({name}) {one};",
            f"bit {name}; {name} = measure {two};",
        ]  # fmt: skip
        kind = self.random.random()
        if depth > 3 or kind < 0.75:
            return self.pick(simple)
        inner = " ".join(self.sound(depth + 1) for _ in range(self.random.randint(1, 3)))
        if kind < 0.82:
            return f"for int {name} in {self.pick(['[0:2]', '[4:-3:0]', '{1, n}'])} {{ {inner} }}"
        asked = self.pick(["c[0]", "c == 2", "c > 1 || d", "!d && c[1:2] == 1", "uint[3](c) != 4", "n > 1", "c[0] ^ d"])
        return f"if ({asked}) {{ {inner} }}" + (f" else {{ {self.sound(depth + 1)} }}" if kind < 0.9 else "")

    def statement(self, depth: int) -> str:
        if self.is_sound:
            return self.sound(depth)
        makers = [self.call, self.call, self.call, self.simple, self.declaration]
        if depth < 4:
            makers += [lambda: self.loop(depth), lambda: self.condition(depth), lambda: self.block(depth)]
        return self.random.choice(makers)()

    def loop(self, depth: int) -> str:
        values = self.pick(
            [
                "[0:2]",
                "[2:-1:0]",
                "{0, 1, 3}",
                f"[0:{self.expression(2)}]",
                f"{{{self.expression(2)}, 1}}",
                "[0:99999]",
                "q",
            ]
        )
        return f"for {self.pick(_TYPES[:6])} i in {values} {self.block(depth)}"

    def condition(self, depth: int) -> str:
        tail = f" else {self.block(depth)}" if self.random.random() < 0.4 else ""
        asked = self.pick(
            [self.expression(1), "c[0]", "c == 2", "c > 1 || d", "!d && c[1:2] == 1", "uint[3](c) != 4", "true"]
        )
        return f"if ({asked}) {self.block(depth)}{tail}"

    def simple(self) -> str:
        return self.pick(
            [
                f"reset {self.operand()};", f"barrier {self.operand()};",
                f"delay[{self.expression(2)}] {self.operand()};",
                f"{self.operand()} = measure {self.operand()};", f"measure {self.operand()} -> {self.operand()};",
                f"measure {self.operand()};",
                f"{self.pick(_NAMES)} {self.pick(['', '+', '<<', '**'])}= {self.expression(1)};",
            ]
        )  # fmt: skip

    def declaration(self) -> str:
        name = self.pick(["b", "t", "e", "f", "n", "i", "q"])
        return self.pick(
            [
                f"{self.pick(_TYPES)} {name} = {self.expression(1)};", f"{self.pick(_TYPES)} {name};",
                f"const {self.pick(_TYPES)} {name} = {self.expression(1)};", f"let {name} = {self.operand()};",
                f"let {name} = {self.operand()} ++ {self.operand()};", f"bit[{self.expression(3)}] {name};",
                f"output bit {name};", f"qubit[{self.expression(3)}] {name};", f"gate {name}(t) s {{ {self.call()} }}",
            ]
        )  # fmt: skip


def corpus() -> list[str]:
    """Published texts beside this repository, as far as they are there, and the golden files."""
    paths = sorted((REPO / "tests" / "circuits" / "golden").glob("*.qasm"))
    paths += sorted((DATA / "openqasm").rglob("*.qasm")) + sorted((DATA / "qasmbench" / "small").rglob("*.qasm"))
    texts = [path.read_text(encoding="utf-8") for path in paths if path.stat().st_size < MAX_TEXT]
    for path in sorted((DATA / "openqasm").rglob("*.yaml")):
        texts.append(str(yaml.safe_load(path.read_text(encoding="utf-8"))["source"]))
    return texts


def damaged(random: Random, texts: list[str]) -> str:
    """One text with pieces cut out, doubled, exchanged for words of OpenQASM, or taken from another text."""
    text = random.choice(texts)
    for _ in range(random.choice([1, 1, 2, 3, 8])):
        start = random.randint(0, len(text))
        end = min(len(text), start + random.randint(0, random.choice([2, 8, 40])))
        other = random.choice(texts)
        at = random.randint(0, len(other))
        new = random.choice(
            ["", text[start:end] * random.randint(1, 30), random.choice(_WORDS), random.choice(_NUMBERS),
             random.choice(_SIGNS), chr(random.randint(0, 0x2FF)), other[at : at + random.randint(1, 80)]]
        )  # fmt: skip
        text = text[:start] + new + text[end:]
    return text[:MAX_TEXT]


@dataclass
class Report:
    """Counts of a run.

    Attributes:
        outcomes: Of texts: "read", "refused", "crashed", "hung".
        slowest_s: CPU seconds of the slowest text.
        failures: Texts that crashed or hung, with what happened.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Read one text and note the outcome."""
        started = time.thread_time()
        try:
            circuit = from_qasm(text, max_instructions=MAX_INSTRUCTIONS)
            outcome = "read"
        except QasmError as error:
            outcome = "refused"
            if not (1 <= error.line <= text.count("\n") + 1 and error.column >= 1):
                outcome = self.fail("crashed", text, f"impossible place: {error}")
        except Exception:
            outcome = self.fail("crashed", text, traceback.format_exc())
        taken = time.thread_time() - started
        if outcome == "read":
            try:
                if from_qasm(to_qasm(circuit)) != circuit:
                    outcome = self.fail("crashed", text, "does not come back equal")
            except Exception:
                outcome = self.fail("crashed", text, traceback.format_exc())
        if taken > MAX_SECONDS:
            outcome = self.fail("hung", text, f"{taken:.1f} s")
        self.slowest_s = max(self.slowest_s, taken)
        self.outcomes[outcome] += 1

    def fail(self, outcome: str, text: str, what: str) -> str:
        """Note a failure."""
        self.failures.append((what, text))
        return outcome


def fuzz(seed: int, *, n_texts: int | None = None, seconds: float | None = None) -> Report:
    """Read so many texts, or as many as there is time for; every second one is a damaged one."""
    random, report, texts = Random(seed), Report(), corpus()
    grammar, ends = Grammar(random), time.monotonic() + (seconds or 1e9)
    done = 0
    while (n_texts is None or done < n_texts) and time.monotonic() < ends:
        report.add(grammar.program() if done % 2 else damaged(random, texts))
        done += 1
    return report


def main() -> int:
    """Run for minutes; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = fuzz(options.seed, seconds=60 * options.minutes)
    counts = {"texts": report.outcomes.total(), **report.outcomes, "slowest_s": round(report.slowest_s, 3)}
    print(json.dumps(counts) if options.json else "  ".join(f"{name} {value}" for name, value in counts.items()))
    for what, text in report.failures[:5]:
        print(f"--- {what}\n{text}", file=sys.stderr)
    return 1 if report.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
