"""Generative adversarial minority oversampling for scikit-learn users."""

from ._classifier import GAMOClassifier
from ._compare import compare
from ._features import GAMOFeatures
from ._gamo2pix import GAMO2Pix
from ._priors import PriorCorrectedClassifier
from ._published import published
from ._recipe import Recipe
from ._sampler import GAMOSampler
from ._saving import load
from ._show_versions import show_versions
from ._version import __version__

__all__ = [
    "GAMO2Pix",
    "GAMOClassifier",
    "GAMOFeatures",
    "GAMOSampler",
    "PriorCorrectedClassifier",
    "Recipe",
    "__version__",
    "compare",
    "load",
    "published",
    "show_versions",
]
