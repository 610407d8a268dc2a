"""The MQTT part: the inspector alone, Mosquitto behind Bulkhead and its peers, and one device that floods."""
