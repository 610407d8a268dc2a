"""The demo plant: a bottling cell behind a real gateway, driven over real sockets. Not part of the gateway."""
