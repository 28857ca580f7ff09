"""The state service: what clients of gateways may ask for, and which models tiers stand for. Under /api/state/."""
