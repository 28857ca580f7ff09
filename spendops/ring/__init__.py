"""The whole ring on one machine: its processes, what keeps them up, `make run`, `make demo` and `make smoke`."""
