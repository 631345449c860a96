"""Webhooks: who is told of jobs, what was sent and when, and the thread that sends it."""

from __future__ import annotations
