"""Security policies, keys and certificates of OPC UA secure channels. No sockets, no files."""
