"""OPC UA binary (opc.tcp): see `docs/opcua.md`."""

from proxy.protocols.opcua.spec import PROTOCOL

__all__ = ["PROTOCOL"]
