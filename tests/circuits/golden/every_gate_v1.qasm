OPENQASM 3.0;
include "stdgates.inc";
@superpose.parameter x
input float[64] x_;
input float[64] θ;
gate rzz(theta) q0, q1 { cx q0, q1; rz(theta) q1; cx q0, q1; }
gate ecr q0, q1 { h q1; rzz(pi/2) q0, q1; h q1; x q0; }
gate rxx(theta) q0, q1 { h q0; h q1; rzz(theta) q0, q1; h q0; h q1; }
gate ryy(theta) q0, q1 { rx(pi/2) q0; rx(pi/2) q1; rzz(theta) q0, q1; rx(-pi/2) q0; rx(-pi/2) q1; }
gate sxdg q0 { U(-pi/2, -pi/2, pi/2) q0; }
qubit[3] q;
ccx q[2], q[1], q[0];
ch q[1], q[0];
cp(0.25) q[1], q[0];
crx(0.25) q[1], q[0];
cry(0.25) q[1], q[0];
crz(0.25) q[1], q[0];
cswap q[2], q[1], q[0];
cu(0.25, 2*x_ - 0.1*θ, 0.25*θ + pi, -x_) q[1], q[0];
cx q[1], q[0];
cy q[1], q[0];
cz q[1], q[0];
ecr q[1], q[0];
h q[0];
id q[0];
p(0.25) q[0];
rx(0.25) q[0];
rxx(0.25) q[1], q[0];
ry(0.25) q[0];
ryy(0.25) q[1], q[0];
rz(0.25) q[0];
rzz(0.25) q[1], q[0];
s q[0];
sdg q[0];
swap q[1], q[0];
sx q[0];
sxdg q[0];
t q[0];
tdg q[0];
U(0.25, 2*x_ - 0.1*θ, 0.25*θ + pi) q[0];
x q[0];
y q[0];
z q[0];
