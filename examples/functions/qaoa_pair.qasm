// MaxCut of two joined nodes by QAOA with one layer: <ZZ> = sin(4 beta) sin(2 gamma). Deploy with --observable ZZ.
OPENQASM 3.0;
include "stdgates.inc";
input float gamma;
input float beta;
qubit[2] q;
h q;
cx q[0], q[1];
rz(2*gamma) q[1];
cx q[0], q[1];
rx(2*beta) q;
