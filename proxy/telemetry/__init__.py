"""How it goes: counters, metrics, health, logs. docs/metrics.md lists every metric."""
