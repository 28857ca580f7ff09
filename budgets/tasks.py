"""Scheduled jobs of budgets."""

from __future__ import annotations

from celery import shared_task

from budgets.evaluator import evaluate


@shared_task
def evaluate_budgets() -> None:
    """One tick. A tick that is lost or comes twice does no harm."""
    evaluate()
