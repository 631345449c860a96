"""Who goes first: pure policy, without I/O and without a clock."""

from __future__ import annotations

from superpose.scheduling.backoff import Backoff
from superpose.scheduling.order import QueuedJob, RunningJob, order_jobs
from superpose.scheduling.slots import SlotUse, may_hand_over

__all__ = ["Backoff", "QueuedJob", "RunningJob", "SlotUse", "may_hand_over", "order_jobs"]
