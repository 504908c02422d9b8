"""Label volumes -> curves, phases and clinical indices."""
