"""Where numpy meets torch: devices, seeds, and rows that travel to the device."""

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, gen_batches

from ._lazy import ReadAhead
from ._stored import require, stored

MAX_RESIDENT_ROWS = 2**17
MAX_RESIDENT_VALUES = 2**28
BLOCK = 4096
BLOCK_VALUES = 2**22

_process_rng = threading.RLock()


def resolve_device(device):
    """torch.device of a `device` parameter; "auto" is a GPU where there is one."""
    if str(device) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        # Making a tensor is the only test that every kind of device answers.
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={str(device)!r} cannot be used here ({error}); "
            "use device='auto' or device='cpu'."
        ) from error


def block_size(n_features):
    """Rows that go through a network at once: fewer where they are large images."""
    return max(1, min(BLOCK, BLOCK_VALUES // n_features))


def upload(tensor, device):
    """`tensor` on the device, without waiting for the work that is queued there."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def private_random_state(random_state):
    """check_random_state, but None is fresh: numpy's global state is left alone."""
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def run_generator(random_state):
    """The run's own source of randomness, seeded from a numpy RandomState.

    It lives on the CPU whatever the device, so that the draws are the same
    everywhere.
    """
    return torch.Generator().manual_seed(int(random_state.randint(2**31 - 1)))


def put_to_rest(*networks):
    """Networks on the CPU, in evaluation mode, no longer trained."""
    for network in networks:
        network.cpu().eval().requires_grad_(False)


@contextmanager
def workspace():
    """torch as we need it, whatever the caller's modes and default device are."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ["cpu", "cuda"][: 1 + torch.cuda.is_available()]:
            stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


class ProcessRNG:
    """torch's process-wide random states; those that it found are put aside."""

    def __init__(self):
        self.aside = self.state()

    def state(self):
        mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
        cuda = torch.cuda.get_rng_state_all()
        return {"cpu": torch.get_rng_state(), "cuda": cuda, "mps": mps}

    def restore(self, state):
        torch.set_rng_state(state["cpu"])
        # On another machine there may be more or fewer devices.
        for i, own in enumerate(state["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(own, i)
        if state["mps"] is not None and torch.backends.mps.is_available():
            torch.mps.set_rng_state(state["mps"])

    @contextmanager
    def outside(self):
        """Those put aside, for a block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @contextmanager
    def unmoved(self):
        """Those there are, put back after a block that may draw."""
        before = self.state()
        try:
            yield
        finally:
            self.restore(before)

    def _swap(self):
        aside, self.aside = self.aside, self.state()
        self.restore(aside)


@contextmanager
def process_rng(rng):
    """Seed torch's process-wide RNG from `rng` for a block, and put it back after.

    Gives a `ProcessRNG`, which is for that block alone.

    Only networks made by users draw from it, and as all threads share it, one
    fit at a time does. Must not be entered inside a generator function.
    """
    seed = int(torch.randint(2**31 - 1, (), generator=rng))
    with _process_rng:
        own = ProcessRNG()
        torch.manual_seed(seed)
        try:
            yield own
        finally:
            own.restore(own.aside)


@stored(center=np.ndarray | np.float64, scale=np.ndarray | np.float64)
@dataclass
class Scaling:
    """x -> (x - center) / scale, per column or with one scale for all pixels."""

    center: np.ndarray
    scale: np.ndarray

    def check_stored(self):
        both = [np.asarray(part) for part in (self.center, self.scale)]
        ok = all(part.dtype.kind == "f" and np.isfinite(part).all() for part in both)
        ok = ok and both[0].shape == both[1].shape and (both[1] > 0).all()
        require(ok, "the scaling is not by finite numbers above 0.")

    @classmethod
    def of_rows(cls, X):
        """Zero mean and unit variance per column."""
        with np.errstate(over="ignore", invalid="ignore"):  # `forward` reports it
            scaler = StandardScaler()
            # `fit` would copy all of X.
            for block in gen_batches(len(X), block_size(X.shape[1])):
                scaler.partial_fit(X[block])
        # Of a column that scikit-learn finds constant, as much as rounding makes of it.
        rounding = len(X) * np.finfo(np.float64).eps * np.abs(scaler.mean_)
        return cls(scaler.mean_, np.maximum(scaler.scale_, rounding))

    @classmethod
    def of_images(cls, X):
        """[-1, 1] for all pixels alike: many pixels are constant on their own."""
        low, high = float(X.min()), float(X.max())
        return cls(np.float64((low + high) / 2), np.float64((high - low) / 2 or 1))

    def forward(self, X):
        """Rows of X (n, d) as a float32 tensor on the CPU."""
        out = torch.empty(X.shape, dtype=torch.float32)
        for block in gen_batches(len(X), block_size(X.shape[1])):
            with np.errstate(over="ignore", invalid="ignore"):
                scaled = ((X[block] - self.center) / self.scale).astype(np.float32)
            if not np.isfinite(scaled).all():
                columns = np.flatnonzero(~np.isfinite(scaled).all(0)).tolist()
                raise ValueError(
                    f"X has values too large for float32 in columns {columns}, once "
                    "they are scaled as in fit. Look for outliers or sentinel values."
                )
            # torch.tensor copies: from_numpy warns about read-only arrays.
            out[block] = torch.tensor(scaled)
        return out

    def inverse(self, rows):
        """Scaled rows (n, d), a tensor, back to the units of X, float64."""
        return rows.numpy().astype(np.float64) * self.scale + self.center


def is_resident(X):
    """Whether all of X, scaled, is kept on the device."""
    is_small = len(X) <= MAX_RESIDENT_ROWS and X.size <= MAX_RESIDENT_VALUES
    return is_small and getattr(X, "may_be_dense", True)


class Rows:
    """Scaled rows of an array, by index.

    Up to MAX_RESIDENT_ROWS rows and MAX_RESIDENT_VALUES values live on the device; a
    larger array stays where the caller has it and gives minibatches.
    """

    def __init__(self, X, scaling, device):
        self.X = X if isinstance(X, np.ndarray) else ReadAhead(X)
        self.scaling = scaling
        self.device = device
        self.n_features = X.shape[1]
        self.resident = None
        if is_resident(X):
            self.resident = scaling.forward(X).to(device)

    def ahead(self, batches):
        """The batches of positions (n, b), one by one, their rows read beforehand."""
        if self.resident is None and isinstance(self.X, ReadAhead):
            return self.X.over(batches)
        return batches

    def __getitem__(self, index):
        """Rows at `index`, a tensor of positions on the CPU."""
        if self.resident is not None:
            return self.resident[upload(index, self.device)]
        rows = self.scaling.forward(self.X[index.numpy()])
        return upload(rows, self.device)
