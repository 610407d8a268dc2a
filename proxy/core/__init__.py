"""The vocabulary: only types that two packages exchange. Imports nothing of ours."""
