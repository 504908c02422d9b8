"""The beating heart in short-axis slices: ventricles in closed form whose volumes are exact."""
