// A random byte: eight qubits in equal superposition, measured. Deploy with --shots 1, or read counts of many shots.
operation Main() : Result[] {
    use qubits = Qubit[8];
    for qubit in qubits {
        H(qubit);
    }
    let number = MeasureEachZ(qubits);
    ResetAll(qubits);
    return number;
}
