OPENQASM 3.0;
include "stdgates.inc";
@superpose.parameter x
input float[64] x_;
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
rz(0.5*x_ + pi/2) q[1];
c = measure q;
