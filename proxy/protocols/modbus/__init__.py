"""Modbus/TCP and Modbus/TCP Security: reading order mbap, pdu, actions, targets, inspector, device."""

from proxy.protocols.modbus.spec import PROTOCOL

__all__ = ["PROTOCOL"]
