"""The way to the UNS: what devices say, published on a broker. An ordinary client of the gateway on both sides."""
