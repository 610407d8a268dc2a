"""The versions of a site that were in force, kept whole: the last good one survives a bad file and a restart (T70)."""
