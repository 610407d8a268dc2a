"""One file per kind of evidence, each with one class that keeps `base.EvidenceSource`. `tests/contract` finds them."""
