"""The contenders of the GAMO paper that no library has.

They share the package's default networks, optimiser and length of training, so
that a comparison is like for like. SMOTE and random over-sampling are
imbalanced-learn's; the plain network is ``GAMOClassifier(generator=None)``.
"""

from ._augment import AugmentationSampler
from ._cgan import CGANSampler
from ._dos import DOSClassifier

__all__ = ["AugmentationSampler", "CGANSampler", "DOSClassifier"]
