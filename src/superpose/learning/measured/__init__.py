"""Training where circuits are measured: expectations and gradients from any backend's shots.

`Measurer` stands between a `QuantumLayer` and a backend. All circuits of a mini-batch, shifted ones included, go there
as one program (`submissions`); which circuits those are says `shifts`, how many shots each gets says `allocation`.
Nothing here knows any backend: they come as values of the protocols in `superpose.circuits`. What a training may ask of
a backend at most says `bill`, without torch.
"""
