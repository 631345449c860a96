"""What a provider charges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

__all__ = ["Pricing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """What a provider charges, in US dollars.

    Attributes:
        per_submission_usd: For each submission, however many circuits are handed over in it: a quantum task, a job.
        per_circuit_usd: For each circuit handed over.
        per_shot_usd: For each shot.
        per_second_usd: For each second on the processor.
        as_of: When this was the price.
        source: Where that is said.
    """

    as_of: date
    source: str
    per_submission_usd: float = 0.0
    per_circuit_usd: float = 0.0
    per_shot_usd: float = 0.0
    per_second_usd: float = 0.0

    @property
    def is_free(self) -> bool:
        """Whether nothing is charged, whatever runs."""
        return not (self.per_submission_usd or self.per_circuit_usd or self.per_shot_usd or self.per_second_usd)

    def price_usd(self, *, n_circuits: int, n_shots: int, seconds: float, n_submissions: int = 1) -> float:
        """Return the price of so many circuits with so many shots in all, taking so long, in so many submissions.

        >>> fee = Pricing(as_of=date(2026, 1, 1), source="x", per_submission_usd=0.3, per_shot_usd=0.001)
        >>> fee.price_usd(n_circuits=2, n_shots=1000, seconds=1.0)
        1.3
        """
        return (
            self.per_submission_usd * n_submissions
            + self.per_circuit_usd * n_circuits
            + self.per_shot_usd * n_shots
            + self.per_second_usd * seconds
        )
