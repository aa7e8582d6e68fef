"""Generative adversarial minority oversampling, for scikit-learn and imbalanced-learn."""

from ._classifier import GAMOClassifier
from ._published import published
from ._sampler import GAMOSampler

__all__ = ["GAMOClassifier", "GAMOSampler", "published"]
__version__ = "0.1.0"
