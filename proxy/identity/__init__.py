"""Who speaks: evidence about one connection, weighed against what the operator bound to devices. No sockets."""
