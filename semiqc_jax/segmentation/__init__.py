"""Network output -> label volumes on the native grid, and the evidence for quality control."""
