"""Losses, state, the step and the loop."""
