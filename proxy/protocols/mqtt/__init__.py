"""MQTT 3.1.1 and 5."""

from proxy.protocols.mqtt.spec import PROTOCOL as PROTOCOL
