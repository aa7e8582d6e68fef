"""A fit that several processes share: torch's process group, as the game sees it.

Every process draws the whole batch from the same generator and takes its own rows of
it. A loss is their sum over the number of rows of the whole batch, so that gradients
add up to those of one process, however unequal the parts are.
"""

import os
import zlib
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from itertools import chain, count

import numpy as np
import torch
import torch.distributed as dist
from joblib.parallel import get_active_backend
from torch import nn

from ._described import described

N_COMPARED = 256
# Which a process may have to itself: who ends training ends it for all.
OWN_PARAMETERS = {"callbacks", "device", "max_time", "verbose"}
LONGEST_WAIT = timedelta(minutes=5)  # for the other processes to come to a fit
BATCH_STATISTICS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
)

_number_of_fit = count()


def n_processes():
    """How many processes share a fit that begins here.

    Those of the user's own group or, where there is none, those that torchrun
    started. A fit within a parallel search is always one process's own.
    """
    if not dist.is_available() or get_active_backend()[0].nesting_level:
        return 1
    if dist.is_initialized():
        return dist.get_world_size()
    return int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1


def own_device(device):
    """`device`, or where it is any GPU this process's own one."""
    is_any_gpu = device.type == "cuda" and device.index is None
    if not is_any_gpu or n_processes() == 1 or "LOCAL_RANK" not in os.environ:
        return device
    position = int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count()
    return torch.device("cuda", position)


@contextmanager
def shared_fit(device):
    """The processes that share the fit in this block, whose tensors are on `device`.

    torchrun's get a group for the block; the user's own group is left as it is.
    """
    if n_processes() == 1:
        yield ALONE
        return
    # What is pinned, and NCCL's own work, goes to the current GPU.
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        begins = not dist.is_initialized()
        if begins:
            _begin_group(device)
        try:
            yield Group(device)
        finally:
            if begins:
                dist.destroy_process_group()


def _begin_group(device):
    store, rank, size = next(dist.rendezvous("env://", timeout=LONGEST_WAIT))
    # A prefix for each fit: the store still has the addresses of the fit before.
    store = dist.PrefixStore(f"gamo_sampler/{next(_number_of_fit)}", store)
    _await_all(store, rank, size)
    backend = dist.get_default_backend_for_device(device)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)


def _await_all(store, rank, size):
    """Torch itself would wait for half an hour, and not say for whom."""
    keys = [f"process {other} is here" for other in range(size)]
    store.set(keys[rank], "")
    try:
        store.wait(keys, LONGEST_WAIT)
    except dist.DistStoreError as error:
        absent = [other for other, key in enumerate(keys) if not store.check([key])]
        raise TimeoutError(
            f"Process {rank} waited {LONGEST_WAIT.total_seconds():.0f} s for processes "
            f"{absent} of {size} to come to this fit. All that torchrun started have "
            "to fit. One process fits alone within joblib: Parallel(n_jobs=2, "
            "prefer='threads')([delayed(estimator.fit)(X, y)])."
        ) from error


class Alone:
    """One process: every row is its own, and there is nobody to agree with."""

    rank = 0
    size = 1

    def own(self, n):
        return ...  # unlike a slice, no copy of the gradient

    def mean(self, losses, n):
        return losses.mean()

    def whole(self, values, n):
        return values

    def sum(self, values):
        return values

    def add_gradients(self, parameters):
        pass

    def share(self, network):
        pass

    def seed(self, random_state):
        return fresh_seed() if random_state is None else random_state

    def first(self, numbers):
        return numbers

    def any(self, is_so):
        return is_so

    def check_same(self, X, rng, **given):
        pass

    def check_networks(self, networks):
        pass


class Group:
    """One of several processes, each with its own rows of every batch."""

    def __init__(self, device):
        self.device = device
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def own(self, n):
        """Its rows of n.

        Row 0 where it has none: not every network takes an empty batch. It
        counts nothing, neither in `mean` nor in `whole`.
        """
        start, stop = self._bounds(n)
        return slice(start, stop) if start < stop else slice(0, 1)

    def mean(self, losses, n):
        """Its part of the mean over n rows: the parts sum to it."""
        start, stop = self._bounds(n)
        return losses[: stop - start].sum() / n

    def whole(self, values, n):
        """All n rows, (n, ...), from those of each process."""
        start, stop = self._bounds(n)
        rows = values.new_zeros(n, *values.shape[1:])
        rows[start:stop] = values[: stop - start]
        return self.sum(rows)

    def sum(self, values):
        """The sum over the processes, the same bits in each; `values` is lost."""
        dist.all_reduce(values)
        return values

    def add_gradients(self, parameters):
        """Sum up gradients, where any process has one: None stays None in all."""
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        has = [float(p.grad is not None) for p in parameters]
        parts = [grads[0].new_tensor(has), *(grad.flatten() for grad in grads)]
        has, *sums = self.sum(torch.cat(parts)).split([len(part) for part in parts])
        for p, grad, found, total in zip(
            parameters, grads, has.tolist(), sums, strict=True
        ):
            if found:
                # Into the gradient's own layout, which the optimiser relies on.
                p.grad = grad.copy_(total.view_as(grad))

    def share(self, network):
        """Give all processes the first one's weights and buffers."""
        for tensor in chain(network.parameters(), network.buffers()):
            values = tensor.detach().clone(memory_format=torch.contiguous_format)
            dist.broadcast(values, 0)
            tensor.detach().copy_(values)

    def seed(self, random_state):
        """`random_state`, or where it is None a fresh seed of the first process."""
        if random_state is not None:
            return random_state
        [seed] = self.first([fresh_seed()])
        return int(seed)

    def first(self, numbers):
        """The first process's numbers."""
        numbers = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.broadcast(numbers, 0)
        return numbers.tolist()

    def any(self, is_so):
        """Whether it is so in any process."""
        found = torch.tensor([float(is_so)], device=self.device)
        return bool(self.sum(found))

    def check_same(self, X, rng, **given):
        """Refuse rows, seeds, or whatever else is given, where processes differ.

        Of the rows some are compared: to read all of them would take long.
        """
        some = np.linspace(0, len(X) - 1, min(len(X), N_COMPARED)).astype(int)
        given = {"X": np.asarray(X[some]), **given}
        given |= {"random_state": rng.initial_seed()}
        given = {k: v for k, v in given.items() if k not in OWN_PARAMETERS}
        sums = [zlib.crc32(described(value).encode()) for value in given.values()]
        sums = torch.tensor([sums], dtype=torch.int64, device=self.device)
        first, *others = self.whole(sums, self.size).tolist()
        for rank, other in enumerate(others, start=1):
            pairs = zip(given, first, other, strict=True)
            differ = [name for name, a, b in pairs if a != b]
            if differ:
                raise ValueError(
                    f"Process {rank} of {self.size} has another {', '.join(differ)} "
                    "than process 0. All processes of a group have to be given the "
                    "same rows, labels, weights, groups, parameters and random_state: "
                    "each takes its part itself."
                )

    def check_networks(self, networks):
        """Refuse networks, by name, in which rows depend on others of their batch."""
        for name, network in networks.items():
            for module in network.modules():
                if isinstance(module, BATCH_STATISTICS):
                    raise ValueError(
                        f"The {name} has batch statistics ({type(module).__name__}), "
                        f"which each of the {self.size} processes would take from its "
                        "own rows alone. Use LayerNorm or GroupNorm in it, or one "
                        "process."
                    )

    def _bounds(self, n):
        return n * self.rank // self.size, n * (self.rank + 1) // self.size


def fresh_seed():
    """From the system: numpy's global state is left alone."""
    return int(np.random.RandomState().randint(2**31 - 1))


ALONE = Alone()
