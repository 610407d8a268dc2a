"""OPC UA: round trips through Bulkhead and its peers to one quick server, and the inspector by itself."""
