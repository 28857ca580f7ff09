"""Budgets, their periods and crossings, and the evaluator."""
