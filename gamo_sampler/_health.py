"""The health of a game: what is measured after each epoch."""

from itertools import islice

import torch
from torch.nn.utils import get_total_norm

from ._audit import COPY_WEIGHT, evenly
from ._memory import in_blocks
from ._networks import ConvexGenerator
from ._watch import check_finite

N_COMPARED = 256
MAX_WEIGHTS = 2**22  # of G that are held at once


class Classwise:
    """Sums and means of rows' values by class, given the classes of the rows."""

    def __init__(self, k, n_classes):
        self.k = k
        self.n = k.bincount(minlength=n_classes)

    def sum(self, values):
        return values.new_zeros(len(self.n)).index_add(0, self.k, values)

    def mean(self, values):
        return self.sum(values) / self.n


class Health:
    """Measures of a game, each time of the same rows and of rows from the same draws.

    `predictors` are the networks that predictions are made with, F, where there is one,
    and M. `by_class` has, by name, what was measured last, in the order of all classes
    or of those that are generated.
    """

    def __init__(self, game, predictors):
        self.game = game
        self.predictors = predictors
        self.by_class = {}
        self.generated = OfGenerated(game) if game.G else None
        n_classes = len(game.n_generated)
        made = game.lots.classes.tolist() if game.G else []
        rows = [
            # The first ones of a class: of a file, few chunks are read.
            _some((game.y == i).nonzero()[: game.block, 0], N_COMPARED // n_classes)
            for i in range(n_classes)
            if i not in made
        ]
        at = torch.cat([*rows, game.members[:0]])
        self.rows, self.y = game.rows[at], game.y[at].to(game.device)
        if self.generated:
            self.rows = torch.cat([self.rows, self.generated.rows()])
            self.y = torch.cat([self.y, self.generated.y])
        self.by_label = Classwise(self.y, n_classes)

    def measure(self, epoch):
        """What was measured, by name, for the record of the epoch.

        Players whose outputs are not all finite raise an error.
        """
        with torch.no_grad():
            finite, found = self._measures()
        check_finite({name: bool(flag) for name, flag in finite.items()}, epoch)
        self.by_class = _fetched(found, self.game.group)
        return {
            name: values if name == "recall" else sum(values) / len(values)
            for name, values in self.by_class.items()
        }

    def _measures(self):
        """Whether the players' outputs are finite, and measures, (c,), (g,) or (1,)."""
        finite, found = {}, gradient_norms(self.game.players())
        if self.generated:
            finite, of_generated = self.generated.measures()
            found |= of_generated
        scores = self._scores()
        hits = scores.argmax(1) == self.y
        found["recall"] = self.by_label.mean(hits.float())
        return {"classifier": scores.isfinite().all()} | finite, found

    def _scores(self):
        """M's, in blocks that fit."""

        def scores(at):
            x = self.rows[at]
            for network in self.predictors:
                x = network(x.clone())  # a user's may work in place
            return x

        return torch.cat(list(in_blocks(scores, len(self.rows), self.game.block)))


class OfGenerated:
    """Measures of G and D by generated class, on rows of the pool and on new ones."""

    def __init__(self, game):
        self.game = game
        lots, device = game.lots, game.device
        n_classes = len(lots.sizes)
        most = min(N_COMPARED, game.block, MAX_WEIGHTS // game.G.network.n_sources)
        n = max(1, most // n_classes)
        classes = torch.arange(n_classes)
        members = torch.arange(len(game.members)).split(lots.sizes.tolist())
        positions = [_some(own, n) for own in members]
        k = classes.repeat_interleave(n)
        k_real = classes.repeat_interleave(torch.tensor([*map(len, positions)]))
        # Not from game.rng: what is measured leaves the game as it is.
        rng = torch.Generator().manual_seed(game.rng.initial_seed() + 1)
        self.draw = lots.of(k, rng)
        self.y = lots.classes[k_real].to(device)
        self.positions = torch.cat(positions).to(device)
        self.by_real = Classwise(k_real.to(device), n_classes)
        self.by_generated = Classwise(k.to(device), n_classes)
        k_pool = classes.repeat_interleave(lots.sizes)
        self.by_pool = Classwise(k_pool.to(device), n_classes)
        self.not_of_class = k[:, None] != k_real
        self.not_others = (k_real[:, None] != k_real) | torch.eye(len(k_real)).bool()

    def rows(self):
        """Those of the pool that are measured, as they are without F."""
        if not self.game.F:  # the pool is there, other rows may be of a file
            return self.game.pool[self.positions]
        return self.game.rows[self.game.members[self.positions.cpu()]]

    def measures(self):
        """Whether the players' outputs are finite, and measures, (g,) each."""
        G, pool = self.game.G.network, self.game.pool
        real = pool[self.positions]
        found = {}
        if isinstance(G, ConvexGenerator):
            weights = G.weights(self.draw)
            x = G.igu.mix(weights, self.draw, pool)
            found = self._of_weights(weights)
        else:
            x = G(self.draw, pool)
        finite = {"generator": x.isfinite().all()}
        found["distance_ratio"] = self._distance_ratio(x, real)
        if self.game.D:
            real, generated = (
                self.game.judge(rows, y).scores
                for rows, y in ((real, self.y), (x, self.draw.y))
            )
            finite["discriminator"] = torch.cat([real, generated]).isfinite().all()
            found["d_accuracy_real"] = self.by_real.mean((real > 0).float())
            found["d_accuracy_generated"] = self.by_generated.mean(
                (generated < 0).float()
            )
        return finite, found

    def _of_weights(self, weights):
        igu = self.game.G.network.igu
        blocks = igu.blocks(weights)
        sources = 1 / torch.cat([w.square().sum(1) for w in blocks])
        largest = torch.cat([w.amax(1) for w in blocks])
        totals = igu.totals(weights, self.draw)
        # Of all rows together at most as many as of each alone, or as there are.
        most = self.by_generated.sum(sources).minimum(self.by_pool.n)
        used = self.by_generated.n.square() / self.by_pool.sum(totals.square())
        return {
            "effective_sources": self.by_generated.mean(sources),
            "coverage": used / most,
            "near_copies": self.by_generated.mean((largest > COPY_WEIGHT).float()),
        }

    def _distance_ratio(self, x, real):
        """Distance to the nearest real row, over that between real rows, as audited."""
        # In float64, which not every device has: near copies are told from copies.
        real, x = real.cpu().double(), x.cpu().double()
        own = _nearest(real, real, self.not_others).to(self.by_real.k.device)
        found = _nearest(x, real, self.not_of_class).to(own.device)
        own, found = self.by_real.mean(own), self.by_generated.mean(found)
        return torch.where((own > 0) & own.isfinite(), found / own, 0)


def gradient_norms(players):
    """Of each player's last step, by name, (1,) each."""
    return {
        f"{letter.lower()}_grad_norm": get_total_norm(
            [p.grad for p in player.parameters if p.grad is not None]
        )[None]
        for letter, player in players.items()
        if player.parameters
    }


def _nearest(rows, real, excluded):
    """(m,) distances to the nearest of the real rows but for those excluded, (m, n)."""
    return torch.cdist(rows, real).masked_fill_(excluded, torch.inf).amin(1)


def _some(rows, n):
    """At most n of the rows, at least one, evenly spaced."""
    return rows[evenly(len(rows), max(1, n))]


def _fetched(values, group):
    """Tensors as lists of floats by name, fetched at once; the first process's."""
    device = next(reversed(values.values())).device
    numbers = torch.cat([v.to(device) for v in values.values()]).tolist()
    numbers = iter(group.first(numbers))
    return {name: list(islice(numbers, len(v))) for name, v in values.items()}
