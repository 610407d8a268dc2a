"""Sans-IO protocol logic: one folder per protocol, each exporting ``PROTOCOL``. No sockets, files or clocks."""
