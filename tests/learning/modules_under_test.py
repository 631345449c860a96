"""Modules of a user: some that can be exported, some that cannot, each for one reason."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor, nn

from superpose import QuantumLayer


class Hybrid(nn.Module):
    """Normalisation, dropout and two quantum layers, one of them with a feature map."""

    def __init__(self, n_columns: int = 4, n_outputs: int = 2, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.entry = nn.Linear(n_columns, 3, dtype=dtype)
        self.norm = nn.BatchNorm1d(3, dtype=dtype)
        self.dropout = nn.Dropout(0.25)
        self.circuit = QuantumLayer(3, "reuploading", layers=2, dtype=dtype, seed=1)
        self.other = QuantumLayer(3, "iqp", "hardware_efficient", layers=1, dtype=dtype, seed=2)
        self.exit = nn.Linear(3, n_outputs, dtype=dtype)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, n_columns) -> (batch, n_outputs)."""
        angles = torch.tanh(self.norm(self.entry(rows))) * 1.5
        return self.exit(self.dropout(self.circuit(angles) + self.other(angles)))


class Attention(nn.Module):
    """Attention, convolution, a recurrent layer, tied weights, a frozen parameter, constants, changes in place."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.filters = nn.Conv1d(1, 3, 2)
        self.memory = nn.GRU(1, 4, batch_first=True)
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, 3.0, 4.0]), requires_grad=False)
        self.offset = torch.tensor([0.5, -0.5, 0.25, 0.0])

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 4) -> (batch, 4)."""
        one = rows.unsqueeze(1)  # (batch, 1, 4)
        mixed, _ = self.attention(one, one, one)
        past, _ = self.memory(rows.unsqueeze(-1))  # (batch, 4, 4)
        pooled = nn.functional.max_pool1d(self.filters(one), 2).flatten(1).mean(1, keepdim=True)  # (batch, 1)
        hidden = torch.relu_(mixed.squeeze(1) + pooled + past[:, -1] + self.second(self.first(rows)))
        return hidden * self.scale + self.offset + torch.arange(4)


class Sequence(nn.Module):
    """A recurrent layer, which only torch serves, behind a quantum layer."""

    def __init__(self) -> None:
        super().__init__()
        self.circuit = QuantumLayer(4, layers=1, seed=1)
        self.memory = nn.GRU(1, 4, batch_first=True)
        self.exit = nn.Linear(4, 3)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 4) -> (batch, 3)."""
        past, _ = self.memory(self.circuit(torch.tanh(rows)).unsqueeze(-1))  # (batch, 4, 4)
        return self.exit(past[:, -1])


class Single(nn.Module):
    """One output per row, without an axis for it."""

    def __init__(self, n_columns: int = 4) -> None:
        super().__init__()
        self.entry = nn.Linear(n_columns, 2)
        self.circuit = QuantumLayer(2, seed=3)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, n_columns) -> (batch,)."""
        return self.circuit(self.entry(rows)).sum(-1) * 3.0


class Branching(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        if rows.sum() > 0:
            return rows
        return -rows


class TakesNumbers(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return rows * float(rows.mean())


class UsesNumpy(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(rows.detach().numpy() * 2)


class DependsOnBatch(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return rows * 2 if rows.shape[0] > 5 else rows


class SelectsRows(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return rows[rows > 0]


class UsesNoGrad(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        with torch.no_grad():
            doubled = rows * 2
        return doubled + rows


class Decomposes(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return torch.linalg.svd(rows[:, :2, None] * rows[:, None, :2])[1]


class RollsDice(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return rows * random.random()


class DrawsNumbers(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return rows + torch.rand_like(rows)


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        return rows.round()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


class SingleNumbers(nn.Module):
    """Parameters and a buffer that are single numbers, of no axis."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 2), nn.BatchNorm1d(2)
        self.first, self.second = nn.Parameter(torch.tensor(1.5)), nn.Parameter(torch.tensor(-0.5))

    def forward(self, rows: Tensor) -> Tensor:
        return self.norm(self.linear(rows)) * torch.stack([self.first, self.second])


class Rows(nn.Module):
    """An embedding of whole numbers from 0 to 3: not every row is such as it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(4, 2)

    def forward(self, rows: Tensor) -> Tensor:
        return self.table(rows[:, 0].to(torch.int64))


class OwnGradient(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, rows: Tensor) -> Tensor:
        return _Straight.apply(rows * self.weight)


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, rows: Tensor) -> Tensor:
        self.calls.add_(1.0)
        return rows * 2 + 0 * self.calls


class BatchMean(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return rows - rows.mean(0)


class Two(nn.Module):
    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return rows, rows


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 2), nn.Linear(4, 2, dtype=torch.float64)

    def forward(self, rows: Tensor) -> Tensor:
        return self.a(rows) + self.b(rows.double())
