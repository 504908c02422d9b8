"""The aorta in one axial plane at the pulmonary bifurcation: two pulsating lumina whose areas are exact."""
