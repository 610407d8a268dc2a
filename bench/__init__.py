"""The benchmark: Bulkhead beside HAProxy, nginx, stunnel and nginx with njs, measured in one run."""
