// A random byte: eight qubits in equal superposition, measured. Deploy with --shots 1, or read counts of many shots.
OPENQASM 3.0;
include "stdgates.inc";
qubit[8] q;
bit[8] number;
h q;
number = measure q;
