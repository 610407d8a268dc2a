"""Policy at scale: loading, deciding and reloading, beside other policy engines."""
