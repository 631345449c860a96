"""Own PyTorch modules as data: a graph of known operators, trained and served without the code they came from."""
