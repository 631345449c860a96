OPENQASM 3.0;
include "stdgates.inc";
@superpose.parameter x
input float[64] x_;
qubit[3] q;
bit[3] c;
h q[0];
c[1] = measure q[0];
barrier q[0], q[1], q[2];
delay[12.5ns] q[2];
reset q[0];
if (c[1] == 1) {
  rx(2*x_) q[1];
  reset q[2];
  if (c[1] == 0) {
    z q[0];
  }
} else {
  y q[0];
}
if (c[2] == 0 && c[0] == 1) {
  s q[0];
}
c[0] = measure q[0];
barrier q[0], q[2];
