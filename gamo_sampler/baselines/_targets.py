"""The synthetic targets of deep over-sampling, and the loss that draws f to them."""

import torch
import torch.nn.functional as F
from sklearn.neighbors import NearestNeighbors

from .._torch import BLOCK, upload
from .._watch import check_finite


class Targets:
    """Convex combinations of a row's features and those of its neighbours.

    Neighbours are of the row's class, the nearest in the features that the last
    `look` cached. Rows of the largest class have none, and are their own target.

    Parameters
    ----------
    y : Tensor of shape (n,)
        Class indices, on the CPU.
    n_targets : "auto" or int
        Targets per row of a smaller class; "auto" makes up for the class sizes.
    n_neighbors : int
        Neighbours per row, at most.
    device : torch.device
        Where the features live.
    """

    def __init__(self, y, n_targets, n_neighbors, device):
        self.y = y
        self.device = device
        counts = y.bincount()
        small = counts < counts.max()
        ratio = (counts.max() / counts).round().long()
        wanted = ratio if n_targets == "auto" else torch.full_like(ratio, n_targets)
        self.counts = torch.where(small, wanted, 1)  # r, (c,)
        members = [(y == i).nonzero()[:, 0] for i in small.nonzero()]
        self.members = members
        k = min(n_neighbors, max([len(m) for m in members], default=1) - 1)
        # The row itself first; it also stands, without weight, for neighbours that do
        # not exist.
        self.near = torch.arange(len(y))[:, None].repeat(1, k + 1)  # (n, k + 1)
        sizes = torch.where(small, counts - 1, 0)
        self.n_near = sizes.clamp(max=n_neighbors)[y]  # (n,) that do exist

    def look(self, f, rows, epoch):
        """Cache f of the smaller classes' rows, and find their neighbours there.

        Raises NotFiniteError, which names the epoch, where f has no finite values.
        """
        self.features = None
        for members in self.members:
            features = self._features(f, rows, members)  # (n_i, d)
            check_finite({"feature extractor": features.isfinite().all()}, epoch)
            if self.features is None:
                size = len(self.y), features.shape[1]
                self.features = features.new_zeros(size)
            self.features[upload(members, self.device)] = features
            k = min(self.near.shape[1], len(members)) - 1
            if k:
                points = features.cpu().numpy()
                search = NearestNeighbors(n_neighbors=k).fit(points)
                found = search.kneighbors(return_distance=False)
                self.near[members, 1 : k + 1] = members[torch.from_numpy(found)]

    def draw(self, index, features, rng):
        """Targets of the rows at `index`, whose features (b, d) are up to date.

        Returns the targets v (m, d), their class indices (m,), and the positions
        in the batch of the rows that they are for (m,).
        """
        y = self.y[index]
        of = torch.arange(len(index)).repeat_interleave(self.counts[y])
        near = self.near[index[of]]  # (m, k + 1)
        # Exponential variates over their sum: uniform on the simplex.
        weights = torch.empty(near.shape, dtype=torch.float32)
        weights.exponential_(generator=rng)
        missing = torch.arange(near.shape[1]) > self.n_near[index[of]][:, None]
        weights.masked_fill_(missing, 0)
        weights /= weights.sum(1, keepdim=True)
        is_own = near == index[of][:, None]
        own = upload(weights.where(is_own, 0).sum(1), self.device)
        others = upload(weights.masked_fill(is_own, 0), self.device)
        y, of, near = (upload(t, self.device) for t in (y[of], of, near))
        v = own[:, None] * features[of]
        if self.features is not None:
            v = v + F.embedding_bag(
                near, self.features, per_sample_weights=others, mode="sum"
            )
        return v, y, of

    def _features(self, f, rows, members):
        f.eval()
        with torch.no_grad():
            return torch.cat([f(rows[block]) for block in members.split(BLOCK)])


def micro_cluster_loss(features, v, of):
    """Sum of rho ||f - v||^2 over the targets of each row, (b,).

    Parameters
    ----------
    features : Tensor of shape (b, d)
        Those of the rows, f(x).
    v : Tensor of shape (m, d)
        Targets, constants.
    of : Tensor of shape (m,)
        Position of each target's row.
    """
    squares = ((features[of] - v) ** 2).sum(1)
    distances = squares.detach().sqrt()
    sums = features.new_zeros(len(features))
    # Relative to the nearest target, as exp(-distance) may underflow.
    nearest = sums.scatter_reduce(0, of, distances, "amin", include_self=False)
    closeness = (nearest[of] - distances).exp()
    rho = closeness / sums.index_add(0, of, closeness)[of]
    return sums.index_add(0, of, rho * squares)
