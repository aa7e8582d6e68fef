"""The game's random choices, all from the run's own generator, on the CPU.

Drawing there keeps them the same on every device, and tells how many rows of each
class a batch has without waiting for the device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import EllipsisType

import torch
from scipy.special import betaincinv

from ._distributed import ALONE
from ._losses import one_hot
from ._networks import N_OTHERS
from ._stored import require, stored
from ._torch import upload


@dataclass
class Draw:
    """What m rows are generated from. Labels ascend: each class is one slice.

    Noise and code are those of a batch of b rows, of which the m are `own`: G's trunk
    has batch statistics. Both are the same but where several processes share the fit.
    """

    z: torch.Tensor  # (b, l) noise
    code: torch.Tensor  # (b, c) one-hot labels
    own: slice | EllipsisType  # these m of the b
    y: torch.Tensor  # (m,) class indices
    rows: torch.Tensor  # (m,) positions in the pool: a row of each label's class
    others: torch.Tensor  # (m, k) positions of other rows of its cell
    u: torch.Tensor  # (m, 2) uniform: how far from that row, and to which other
    sizes: list  # rows per generated class


@stored(
    classes=torch.Tensor,
    sizes=torch.Tensor,
    n_classes=int,
    latent_dim=int,
    device=torch.device,
    cells=torch.Tensor,
)
@dataclass
class Lots:
    """Draws labels, noise and rows for the generated classes.

    A cell is the rows that may be mixed: a class, or those of one group within it.
    """

    classes: torch.Tensor  # (g,) class indices, ascending
    sizes: torch.Tensor  # (g,) rows n_i of each, in pool order
    n_classes: int
    latent_dim: int
    device: torch.device
    cells: torch.Tensor | None = None  # rows of each, in pool order; None: as `sizes`

    def __post_init__(self):
        if self.cells is None:
            self.cells = self.sizes
        self.ends = self.cells.cumsum(0)

    def check_stored(self):
        tensors = (self.classes, self.sizes, self.cells)
        ok = all(t.ndim == 1 and t.dtype == torch.long for t in tensors)
        require(ok, "the numbers of rows per class are not integers.")
        ok = (self.sizes > 0).all() and (self.cells > 0).all()
        ok = ok and len(self.sizes) == len(self.classes)
        # Cells are within classes: each class ends where a cell does.
        ok = ok and self.cells.sum() == self.sizes.sum()
        ok = ok and torch.isin(self.sizes.cumsum(0), self.ends).all()
        require(ok, "the numbers of rows per class do not fit those per cell.")
        ok = (self.classes.diff() > 0).all() and (self.classes >= 0).all()
        ok = ok and (self.classes < self.n_classes).all()
        require(ok, "the generated classes are not among the classes.")
        require(self.device.type == "cpu", "the draws are not on the CPU.")

    @property
    def smallest(self):
        """(g,) rows of the smallest cell of each class."""
        classes = torch.searchsorted(self.sizes.cumsum(0), self.ends)
        return self.sizes.scatter_reduce(0, classes, self.cells, "amin")

    def by_frequency(self, frequency, b, rng, group=ALONE):
        """b labels by frequency, (g,), with their draw."""
        k = torch.multinomial(frequency, b, replacement=True, generator=rng)
        return self.of(k.sort().values, rng, group)

    def of(self, k, rng, group=ALONE):
        """Noise and rows for ascending k, positions among the generated classes."""
        b, own = len(k), group.own(len(k))
        z = torch.randn(b, self.latent_dim, generator=rng, dtype=torch.float32)
        u = torch.rand(b, 2, generator=rng, dtype=torch.float32)
        first, n = (self.sizes.cumsum(0) - self.sizes)[k, None], self.sizes[k, None]
        row = first + self.below(n, 1, rng)
        cell = torch.searchsorted(self.ends, row, right=True)
        first, n = (self.ends - self.cells)[cell], self.cells[cell]
        # One step or more further round the cell: never the row itself, but for n = 1.
        steps = 1 + self.below((n - 1).clamp(min=1), N_OTHERS, rng)
        others = first + (row - first + steps) % n
        z, y, rows, others, u = (
            upload(t, self.device)
            for t in (
                z,
                self.classes[k],
                row[own, 0],
                others[own],
                u[own],
            )
        )
        code = one_hot(z.new_empty(b, self.n_classes), y)
        sizes = k[own].bincount(minlength=len(self.sizes)).tolist()
        return Draw(z, code, own, y[own], rows, others, u, sizes)

    def below(self, n, width, rng):
        """Integers from 0 up to, not including, n (m, 1): (m, width)."""
        u = torch.rand(len(n), width, generator=rng, dtype=torch.float64)
        return (u * n).long()


@dataclass
class Mix:
    """Mixup (Zhang et al., ICLR 2018): rows and labels mixed with those of others."""

    share: torch.Tensor  # (m,) of the row itself, Beta(alpha, alpha)
    other: torch.Tensor  # (m,) position in the batch
    whole: Callable  # the batch, (b, ...), from this process's rows of it, (m, ...)

    @classmethod
    def draw(cls, b, alpha, rng, device, group=ALONE):
        """None where alpha is 0: nothing is mixed."""
        if not alpha:
            return None
        u = torch.rand(b, generator=rng, dtype=torch.float64)
        share = torch.tensor(betaincinv(alpha, alpha, u.numpy()), dtype=torch.float32)
        other = torch.randperm(b, generator=rng)
        share, other = (upload(t[group.own(b)], device) for t in (share, other))
        return cls(share, other, partial(group.whole, n=b))

    def partners(self, values):
        """The values, (m, ...), of the rows that each is mixed with."""
        return self.whole(values)[self.other]

    def of(self, values):
        """The mixture of values, (m, ...)."""
        share = self.share.view(-1, *[1] * (values.ndim - 1))
        return share * values + (1 - share) * self.partners(values)


@dataclass
class Round:
    """All random choices of one round, those of this process's m rows of b."""

    x: torch.Tensor  # (m, d) real rows, B_d
    y: torch.Tensor  # (m,) their labels, Y_d
    w: torch.Tensor  # (m,) their weights in M's loss
    mix: Mix | None  # of the real rows, and of the generated ones
    generated: Draw  # for M and D, B_n and Y_n
    adversarial: list  # of Draw, for G, B_g and Y_g
    real_target: torch.Tensor  # (m,) D's targets, 1 - U(0, s)
    generated_target: torch.Tensor  # (m,) U(0, s)
