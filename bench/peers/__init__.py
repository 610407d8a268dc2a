"""One file per peer. Each says what is missing for it, writes its configuration and starts it."""
