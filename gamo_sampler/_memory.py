"""What work will take of the memory, before it takes it, and what to do where it ends.

Estimates follow from sizes alone and count what is surely held at once: they are lower
bounds, so that nothing is refused that would have fitted.
"""

from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch

CPU = torch.device("cpu")
FLOAT = 4
# The label of a row, as numpy and as torch have it.
LABELS = 2 * 8
# A value while it is scaled: two float64.
SCALED = 2 * 8
# A weight that learns has Adam's two moments, and an epoch that may be taken back keeps
# a copy of all three. Its gradient comes as what is kept of the minibatch goes.
COPIES = 6
# A weight in a sparse array has its position beside it. Blocks of them are joined.
SPARSE = 2 * (8 + 4)
# V1 and v2 of Linux's control groups: folder, limit, usage, and what can be reclaimed.
GROUPS = {
    True: ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    False: (".", "memory.max", "memory.current", ""),
}


class Part(NamedTuple):
    """Something that takes memory."""

    name: str
    n_bytes: int
    lower: str  # what makes it smaller


def check_memory(what, parts, device=CPU):
    """Raise MemoryError where the parts of some work cannot fit."""
    room, needed = available(device), sum(part.n_bytes for part in parts)
    if room is None or needed <= room:
        return
    largest = max(parts, key=lambda part: part.n_bytes)
    raise MemoryError(
        f"{what} needs at least {_gigabytes(needed)} of memory, but "
        f"{_gigabytes(room)} are available on {device}. Most of it, "
        f"{_gigabytes(largest.n_bytes)}, is for {largest.name}: {largest.lower}."
    )


def check_training(host, on_device, device):
    """The same for a fit with parts on the host, and others on the device."""
    if device.type == "cpu":
        check_memory("Training", host + on_device)
    else:
        check_memory("Training", host)
        check_memory("Training", on_device, device)


def _gigabytes(n_bytes):
    return f"{n_bytes / 1e9:,.3g} GB"


# What there is ------------------------------------------------------------


def available(device=CPU, root="/"):
    """Bytes that can be had without others giving up theirs; None where unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device)
        return free + cached - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    try:
        memory = _numbers(Path(root, "proc/meminfo"))
        rooms = [1024 * memory["MemAvailable"], *_rooms_of_groups(Path(root))]
    except (OSError, KeyError):  # not Linux, or an old one
        return None
    return min(rooms) + 1024 * memory["SwapFree"]


def _rooms_of_groups(root):
    """What is left to this process's control groups and to those above them."""
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        folder, limit, usage, prefix = GROUPS[bool(controllers)]
        top = root / "sys/fs/cgroup" / folder
        group = top / path.strip("/")
        for folder in [group, *group.parents[: len(group.parts) - len(top.parts)]]:
            # In a container, groups above the mount are named but not seen.
            if (folder / limit).exists():
                yield _room(folder, limit, usage, f"{prefix}inactive_file")


def _room(folder, limit, usage, reclaimable):
    most = (folder / limit).read_text().strip()
    if most == "max":
        return float("inf")
    used = int((folder / usage).read_text())
    return int(most) - used + _numbers(folder / "memory.stat")[reclaimable]


def _numbers(path):
    """The lines of a file as names and integers."""
    lines = path.read_text().replace(":", "").splitlines()
    pairs = (line.split()[:2] for line in lines)
    return {name: int(number) for name, number in pairs}


# What is needed -----------------------------------------------------------


def dense_values(*widths):
    """Weights of dense layers from the first width to the last."""
    return sum((n_in + 1) * n_out for n_in, n_out in pairwise(widths))


def rows_part(n_rows, n_values):
    """All rows: labels, and so many values on the device."""
    return Part(
        "the rows",
        LABELS * n_rows + FLOAT * n_values,
        "give fewer rows or columns, or more than 2^17 rows as a numpy.memmap",
    )


def networks_part(n_values, n_copies=COPIES):
    return Part(
        "the networks' weights and optimiser states",
        FLOAT * n_copies * n_values,
        'neighborhood="class" in place of None, or smaller hidden_layer_sizes or '
        "latent_dim",
    )


def batch_part(n_bytes):
    return Part("what is kept of a minibatch", n_bytes, "a smaller batch_size")


def pool_part(n_values, itemsize, n_block):
    """The rows that G mixes: scaled, and while they are gathered, or as they came.

    Before that, a block of `n_block` values is scaled beside them.
    """
    beside = max(n_values * max(itemsize, FLOAT), SCALED * n_block)
    return Part(
        "the rows of the classes to generate",
        FLOAT * n_values + beside,
        "leave large classes out of sampling_strategy, or give fewer columns",
    )


def result_part(n, row_bytes):
    return Part(
        "the rows",
        n * row_bytes,
        "ask for fewer rows, by sampling_strategy or n, or take iter_resample or "
        "iter_sample of GAMOSampler, which give them in blocks",
    )


def weights_part(n_weights):
    return Part(
        "the weights that generated rows are made with",
        SPARSE * n_weights,
        'neighborhood="class" in place of None, a max_sources, fewer rows, or '
        "iter_resample, which does not keep them",
    )


def activation_bytes(networks, x):
    """Bytes that autograd keeps of x on its way through the networks."""
    weights = {p.data_ptr() for network in networks for p in network.parameters()}
    kept = {}

    def keep(tensor):
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        for network in networks:
            x = network(x)
    return sum(kept.values())


def row_activation_bytes(networks, x):
    """The same for one row more, from a few rows."""
    return activation_bytes(networks, x) - activation_bytes(networks, x[:-1])


def memory_line(networks, learners, x):
    """What a minibatch x takes, and what the networks take, in megabytes.

    `learners` are F and M, through which x goes one after the other.
    """
    kept = activation_bytes(learners, x)
    # A weight that learns comes with its gradient and Adam's two moments.
    weights = sum(
        p.nbytes * (4 if p.requires_grad else 1)
        for network in networks
        for p in network.parameters()
    )
    return (
        f"memory: {kept / 1e6:.3g} MB of F's and M's activations per minibatch of "
        f"{len(x)}, {weights / 1e6:.3g} MB of all weights, gradients and optimiser "
        "states"
    )


# Where it ends all the same -----------------------------------------------


def in_blocks(function, n, size):
    """What `function` gives for slices of n rows, of `size` or fewer.

    Where a device has no memory for so many, for half of them, and so on.
    """
    start = 0
    while start < n:
        block = slice(start, min(start + size, n))
        try:
            made = function(block)
        except torch.OutOfMemoryError as error:
            if block.stop - start == 1:
                raise MemoryError(
                    f"The device has no memory to map even one row: {error}"
                ) from error
            size = (block.stop - start) // 2
            continue  # with the error, what the failed attempt held is let go
        yield made
        start = block.stop


@contextmanager
def device_memory(lower):
    """Say what to lower where a device's memory does not do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f"The device has not enough memory: {lower}, or device='cpu', needs less "
            f"of it. {error}"
        ) from error
