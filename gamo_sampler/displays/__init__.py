"""Pictures of a game and of what it generated, as scikit-learn's displays.

Each is made by a `from_...` method, which computes and plots; `plot` draws it again.
They need matplotlib.
"""

from ._audit import AuditDisplay
from ._contributors import ContributorsDisplay
from ._history import TrainingHistoryDisplay
from ._images import ImageGridDisplay
from ._rows import GeneratedRowsDisplay
from ._sources import SourceWeightsDisplay

__all__ = [
    "AuditDisplay",
    "ContributorsDisplay",
    "GeneratedRowsDisplay",
    "ImageGridDisplay",
    "SourceWeightsDisplay",
    "TrainingHistoryDisplay",
]
