"""ServiceFault under the name of its file; see `messages`."""

from proxy.protocols.opcua.services.messages import ServiceFault

__all__ = ["ServiceFault"]
