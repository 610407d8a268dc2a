"""What happened: decision records in hash-chained files. docs/audit.md says what they promise and what not."""
