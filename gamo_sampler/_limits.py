"""Bounds on convex weights, so that no generated row is nearly a copy of a real one."""

from dataclasses import dataclass
from math import ceil

import torch


@dataclass
class Limits:
    """Bounds on each generated row's weights; the defaults bound nothing."""

    max_sources: int | None = None
    max_weight: float = 1.0
    min_sources: float = 1.0  # the effective number 1 / sum(w^2)

    def __bool__(self):
        return self != Limits()

    @property
    def needed(self):
        """The least number of sources with which they can be met."""
        least = max(1 / self.max_weight, self.min_sources)
        # A third may be just below its double: then 3 do, as far as doubles tell.
        return max(ceil(least - 1e-12), 1 + (least > 1))

    def check(self, labels, sizes):
        """Raise an error where rows have too few sources, `sizes` at most by label."""
        for label, size in zip(labels, sizes, strict=True):
            most = min(size, self.max_sources or size)
            if most < self.needed:
                raise ValueError(
                    f"max_weight={self.max_weight} and min_sources={self.min_sources} "
                    f"need rows made of {self.needed} or more, but those of class "
                    f"{label} are made of {most} at most (of two with a neighborhood, "
                    "of max_sources where it is set, of as many as the class has, or "
                    "its smallest group where rows come with groups)."
                )

    def __call__(self, weights):
        """Weights (m, n) within the bounds, float64; rows sum to 1.

        The heaviest `max_sources` stay. They move towards equal weights by the least
        step t that meets the bounds, the greatest weight and the sum of squares being
        those of (1 - t) w + t / s on s sources.
        """
        # Stable: of weights that vanished by rounding the first, which between two rows
        # is the anchor's. The later ones may be of the same row as the other.
        ranked, order = weights.double().sort(dim=1, descending=True, stable=True)
        sources = (ranked > 0).sum(1, keepdim=True)
        sources = sources.clamp(min=self.needed, max=self.max_sources)
        kept = torch.arange(ranked.shape[1]) < sources
        ranked = ranked * kept
        ranked /= ranked.sum(1, keepdim=True)
        equal = 1 / sources.double()
        step = torch.maximum(
            self._to_weight(ranked, equal), self._to_sum(ranked, equal)
        )
        ranked += step * (equal * kept - ranked)
        return torch.zeros_like(ranked).scatter_(1, order, ranked)

    def _to_weight(self, w, equal):
        """The step after which the greatest weight is `max_weight`."""
        greatest = w[:, :1]
        step = (greatest - self.max_weight) / (greatest - equal)
        # Equal weights already, where a bound is met but for its last bits.
        return step.where(greatest > equal.clamp(min=self.max_weight), 0)

    def _to_sum(self, w, equal):
        """The step after which sum(w^2) is 1 / `min_sources`."""
        squares, most = (w**2).sum(1, keepdim=True), 1 / self.min_sources
        step = 1 - ((most - equal).clamp(min=0) / (squares - equal)).sqrt()
        return step.where(squares > equal.clamp(min=most), 0)
