"""Quality-aware semi-supervised segmentation of cardiac MR (semiQCSeg) in JAX/Flax."""

__version__ = "0.1.0"
