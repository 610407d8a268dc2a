"""The log of what happened: records, chain, disk faults, kills."""
