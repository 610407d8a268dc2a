"""The data plane: the only code that owns sockets to clients and devices. Knows bytes, time and the seam, no policy."""
