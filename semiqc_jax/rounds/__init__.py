"""The pseudo-label store and the semi-supervised loop."""
