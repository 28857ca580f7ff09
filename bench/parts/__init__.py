"""Parts of benchmarks that need a process of their own. Each prints its measurements as JSON lines."""
