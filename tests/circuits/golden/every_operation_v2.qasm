OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta;
qubit[3] q;
bit[3] c;
h q[0];
barrier q[0], q[2];
delay[12.5ns] q[1];
c[2] = measure q[0];
if (c[2] == 1) {
  rx(2*theta + 0.5) q[1];
} else {
  reset q[0];
  if (c == 5) {
    x q[2];
  }
  c[1] = measure q[0];
}
if (c[0] == 0 && c[2] == 1) {
  reset q[0];
  if (c == 5) {
    x q[2];
  }
  c[1] = measure q[0];
}
c = measure q;
