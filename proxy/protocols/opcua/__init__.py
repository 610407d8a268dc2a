"""OPC UA binary (opc.tcp): see `docs/opcua.md`."""
