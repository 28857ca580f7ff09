"""Anomalies: days on which a project's model cost far more than such days do."""
