"""The command line: one file per noun, each exporting ``command``."""
