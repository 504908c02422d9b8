"""Named measurements: each sets ours against a reference, in turn, in one run."""
