"""The whole ring on one machine: its processes, the supervisor that keeps them up, `make run`, `make demo`, `make smoke`."""
