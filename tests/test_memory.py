"""Memory: what there is, what work needs of it, and what happens at its end."""

import gc
import json
import resource
import subprocess
import sys
import tracemalloc
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.datasets import load_iris
from torch import nn

from gamo_sampler import GAMO2Pix, GAMOClassifier, GAMOSampler, _base, _memory
from gamo_sampler._memory import (
    FLOAT,
    Part,
    activation_bytes,
    available,
    check_memory,
    dense_values,
    device_memory,
    in_blocks,
    memory_line,
    pool_part,
    row_activation_bytes,
)
from gamo_sampler._networks import linear

MANY = 10**12
CPU = torch.device("cpu")


# What there is ------------------------------------------------------------


@pytest.fixture
def machine(tmp_path):
    """Write files of a machine's /proc and /sys under a folder."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    write(
        {
            "proc/meminfo": "MemTotal: 900 kB\nMemAvailable: 500 kB\nSwapFree: 20 kB\n",
            "proc/self/cgroup": "",
        }
    )
    return write


def v2(group, limit, used, inactive=0):
    folder = f"sys/fs/cgroup/{group}"
    return {
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.current": f"{used}\n",
        f"{folder}/memory.stat": f"anon 7\ninactive_file {inactive}\n",
    }


def v1(group, limit, used, inactive=0):
    folder = f"sys/fs/cgroup/memory/{group}"
    return {
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.usage_in_bytes": f"{used}\n",
        f"{folder}/memory.stat": f"inactive_file 1\ntotal_inactive_file {inactive}\n",
    }


SWAP = 20 * 1024
OF_V2 = {"proc/self/cgroup": "0::/user/job\n"}
OF_V1 = {"proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/job\n0::/\n"}


@pytest.mark.parametrize(
    ("files", "room"),
    [
        ({}, 500 * 1024),
        (OF_V2 | v2("user/job", 9000, 6000, 500), 3500),
        (OF_V2 | v2("user/job", "max", 6000), 500 * 1024),
        # The narrowest of a group and those above it.
        (OF_V2 | v2("user/job", 9000, 6000) | v2("user", 8000, 7000), 1000),
        (OF_V2 | v2("user/job", 9000, 8000) | v2("user", 9000, 7000), 1000),
        # In a container its own group is at the top, whatever its name outside.
        (OF_V2 | v2("", 9000, 4000), 5000),
        (OF_V1 | v1("job", 9000, 6000, 500), 3500),
        (OF_V1 | v1("job", 2**63 - 4096, 6000), 500 * 1024),
        (OF_V1 | v1("", 9000, 4000), 5000),
        # Files of other groups say nothing.
        (OF_V1 | v1("other", 9000, 8999), 500 * 1024),
    ],
)
def test_what_is_available(machine, files, room):
    assert available(CPU, machine(files)) == room + SWAP


def test_where_nothing_is_known_nothing_is_refused(tmp_path, monkeypatch):
    assert available(CPU, tmp_path) is None
    assert available(torch.device("mps")) is None
    monkeypatch.setattr(_memory, "available", lambda device: None)
    check_memory("It", [Part("all", MANY, "less")])


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="not on Linux")
def test_what_is_available_here():
    assert 10**7 < available(CPU) < 10**14


def test_on_a_gpu_it_is_what_is_free_and_what_torch_holds_unused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 900))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 50)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 30)
    assert available(torch.device("cuda", 0)) == 120


def test_the_error_names_what_is_largest_and_what_to_lower(monkeypatch):
    monkeypatch.setattr(_memory, "available", lambda device: 4 * 10**9)
    parts = [Part("ants", 10**9, "fewer ants"), Part("elephants", 3 * 10**9, "fewer")]
    check_memory("The zoo", parts)  # it just fits
    with pytest.raises(MemoryError) as error:
        check_memory("The zoo", [*parts, Part("a fly", 10**7, "shoo it")])
    assert str(error.value) == (
        "The zoo needs at least 4.01 GB of memory, but 4 GB are available on cpu. Most "
        "of it, 3 GB, is for elephants: fewer."
    )


# What is needed -----------------------------------------------------------


def test_dense_values():
    rng = torch.Generator()
    network = nn.Sequential(linear(3, 5, rng), linear(5, 2, rng))
    assert dense_values(3, 5, 2) == sum(p.numel() for p in network.parameters())
    assert dense_values(3) == 0


def test_activation_bytes_of_a_known_network():
    rng = torch.Generator()
    network = nn.Sequential(linear(3, 5, rng), nn.Sigmoid(), linear(5, 2, rng))
    x = torch.zeros(7, 3)
    # The linear layers keep their inputs, 7 x 3 and 7 x 5, of which the sigmoid keeps
    # the second as its output; weights are not counted.
    assert activation_bytes([network], x) == 4 * 7 * (3 + 5)
    assert activation_bytes([network[:2], network[2:]], x) == 4 * 7 * (3 + 5)
    assert row_activation_bytes([network], x) == 4 * (3 + 5)


def test_what_does_not_grow_with_rows_is_not_counted_by_row():
    network = nn.Sequential(nn.BatchNorm1d(3)).eval()  # keeps running statistics
    assert row_activation_bytes([network], torch.zeros(3, 3)) == 4 * 3


def test_memory_line_counts_weights_gradients_and_moments():
    network = linear(249, 1000, torch.Generator())  # 250,000 parameters: 1 MB
    line = memory_line([network, network], [network], torch.zeros(1000, 249))
    assert line == (
        "memory: 0.996 MB of F's and M's activations per minibatch of 1000, 8 MB of "
        "all weights, gradients and optimiser states"
    )
    network.requires_grad_(False)
    line = memory_line([network], [network], torch.zeros(1000, 249))
    assert ", 1 MB of all weights" in line


# Refused before it is taken -----------------------------------------------


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [40, 12, 7])
    return rng.normal(size=(59, 4)) + y[:, None], y


@pytest.fixture(scope="module")
def sampler(rows):
    sampler = GAMOSampler(max_iter=1, random_state=0)
    sampler.fit_resample(*rows)
    return sampler


def test_too_many_rows_are_refused_at_once(sampler, rows):
    classifier = GAMOClassifier(max_iter=1, random_state=0).fit(*rows)
    for ask in (sampler.sample, classifier.sample):
        with pytest.raises(MemoryError, match=r"3\.2e\+04 GB .*iter_sample"):
            ask(MANY)
    with pytest.raises(MemoryError, match="weights that generated rows are made with"):
        sampler.sample({2: MANY}, return_weights=True)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "The result needs at least 8e.04 GB"),
        ({"neighborhood": None}, 'neighborhood="class" in place of None'),
        ({"neighborhood": None, "max_sources": 1}, "The result needs .* 5.6e.04 GB"),
        ({"feature_extractor": lambda *sizes: nn.Linear(*sizes)}, "The result needs"),
    ],
)
def test_too_many_rows_are_refused_before_training(
    rows, parameters, message, monkeypatch
):
    monkeypatch.setattr(GAMOSampler, "_fit_game", lambda *args, **kwargs: 1 / 0)
    asked = GAMOSampler(sampling_strategy={1: MANY}, **parameters)
    with pytest.raises(MemoryError, match=message):
        asked.fit_resample(*rows)


def test_however_many(rows, sampler):
    """Bytes are more than 64 bits can count."""
    with pytest.raises(MemoryError, match="The result needs"):
        GAMOSampler(sampling_strategy={1: 2**60}).fit_resample(*rows)
    with pytest.raises(MemoryError, match="Generating rows needs"):
        sampler.sample(2**60)


@pytest.mark.parametrize("kind", [pd.DataFrame, csr_array, np.float32, "mixed"])
def test_in_any_container(rows, kind):
    X, y = rows
    if kind == "mixed":
        X = pd.DataFrame(X).assign(word="a")
        X.columns = list("abcde")
    else:
        X = X.astype(kind) if kind is np.float32 else kind(X)
    with pytest.raises(MemoryError, match="The result needs"):
        GAMOSampler(sampling_strategy={1: MANY}).fit_resample(X, y)
    sampler = GAMOSampler(max_iter=1, random_state=0)
    sampler.fit_resample(X, y)
    with pytest.raises(MemoryError, match="Generating rows needs"):
        sampler.sample(MANY)


def test_images_are_refused_too(rows):
    X, y = rows
    images = GAMO2Pix(
        GAMOClassifier(max_iter=1, feature_extractor="conv"),
        max_rounds=1,
        image_shape=(1, 2, 2),
        random_state=0,
    ).fit(X, y)
    with pytest.raises(MemoryError, match="Generating images needs"):
        images.sample(MANY)


def test_blocks_are_not_refused(sampler, rows):
    """Nor do they take memory that grows with the number of rows."""
    X_block, y_block = next(sampler.iter_sample(MANY, chunk_size=100))
    assert X_block.shape == (100, 4)
    assert set(y_block) == {1}
    asked = GAMOSampler(max_iter=1, sampling_strategy={1: MANY}, random_state=0)
    X_block, _ = next(asked.iter_resample(*rows, chunk_size=59))
    np.testing.assert_array_equal(X_block, rows[0])
    # The classifier is told how often classes are to occur, and keeps no rows.
    GAMOClassifier(max_iter=1, sampling_strategy={1: MANY}, random_state=0).fit(*rows)


def test_blocks_have_the_rows_of_sample(sampler):
    """Across classes, and across the blocks in which they are made."""
    counts = {1: 5, 2: 9000}
    X, y = sampler.sample(counts, random_state=0)
    blocks = zip(*sampler.iter_sample(counts, random_state=0), strict=True)
    for found, wanted in zip(blocks, (X, y), strict=True):
        np.testing.assert_array_equal(np.concatenate(found), wanted)
    assert (y == np.repeat([1, 2], [5, 9000])).all()


def deep(n_in, n_out):
    """Few weights, but a thousand values and more are kept of a row."""
    return nn.Sequential(nn.Linear(n_in, n_out), *(nn.Sigmoid() for _ in range(400)))


@pytest.mark.parametrize(
    ("parameters", "room", "advice"),
    [
        ({"latent_dim": 10**9}, 10**10, "latent_dim"),
        ({"neighborhood": None}, 10**4, "smaller hidden_layer_sizes"),
        ({"classifier": deep, "batch_size": 59}, 3 * 10**5, "a smaller batch_size"),
        ({"generator": None}, 10**3, "as a numpy.memmap"),
    ],
)
def test_training_says_what_to_lower(rows, parameters, room, advice, monkeypatch):
    monkeypatch.setattr(_memory, "available", lambda device: room)
    classifier = GAMOClassifier(max_iter=1, random_state=0, **parameters)
    with pytest.raises(MemoryError, match=rf"Training needs .*{advice}"):
        classifier.fit(*rows)
    monkeypatch.setattr(_memory, "available", lambda device: 10**13)
    if parameters.get("latent_dim") is None:
        classifier.fit(*rows)


def test_large_classes_can_be_left_out(monkeypatch):
    """Only rows of classes that are generated are pooled."""
    X = np.random.default_rng(0).normal(size=(2000, 100))
    y = np.repeat([0, 1], [1200, 800])
    seen = []

    def spy(n_values, *others):
        seen.append(n_values)
        return pool_part(n_values, *others)

    monkeypatch.setattr(_base, "pool_part", spy)
    GAMOClassifier(max_iter=1, max_rounds=1, random_state=0).fit(X, y)
    assert seen == [800 * 100]


# Where a device's memory ends ---------------------------------------------


def test_blocks_are_halved_until_they_fit():
    asked = []

    def small(block):
        asked.append(block.stop - block.start)
        if asked[-1] > 3:
            raise torch.OutOfMemoryError("full")
        return list(range(block.start, block.stop))

    found = list(in_blocks(small, 14, 10))
    assert list(chain.from_iterable(found)) == list(range(14))
    # Ten are halved, five again; blocks stay as small as they had to be.
    assert asked == [10, 5, 2, 2, 2, 2, 2, 2, 2]


def test_one_row_that_does_not_fit_is_an_error():
    asked = []

    def full(block):
        asked.append(block.stop - block.start)
        raise torch.OutOfMemoryError("full")

    with pytest.raises(MemoryError, match="even one row: full"):
        list(in_blocks(full, 14, 10))
    assert asked == [10, 5, 2, 1]


def test_what_a_failed_attempt_held_is_let_go():
    """Else there would be no more memory for the next one."""
    alive = []

    class Held:
        def __init__(self):
            alive.append(self)

        def __del__(self):
            freed.append(1)

    freed = []

    def small(block):
        held = Held()
        alive.clear()
        if block.stop - block.start > 2:
            raise torch.OutOfMemoryError("full")
        assert len(freed) == 2  # those of 8 and 4 rows
        return held

    assert len([None for _ in zip(in_blocks(small, 8, 8), range(1), strict=False)])


class Small(nn.Linear):
    """A device that holds five rows at once, but for minibatches."""

    def forward(self, x):
        if len(x) > 5 and not torch.is_grad_enabled():
            raise torch.OutOfMemoryError("full")
        return super().forward(x)


@pytest.mark.parametrize("player", ["feature_extractor", "classifier"])
def test_networks_map_rows_in_blocks_that_fit(rows, player):
    X, y = rows

    def fitted(builder):
        parameters = {"generator": None, "rounds_per_epoch": 2, player: builder}
        model = GAMOClassifier(max_iter=2, random_state=0, batch_size=5, **parameters)
        return model.fit(X, y).predict_proba(X)

    np.testing.assert_allclose(fitted(Small), fitted(nn.Linear), rtol=0, atol=1e-6)


class Full(nn.Linear):
    def forward(self, x):
        if self.training:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().forward(x)


def test_a_minibatch_that_does_not_fit_says_what_to_lower(rows):
    classifier = GAMOClassifier(classifier=Full, max_iter=1, random_state=0)
    with pytest.raises(MemoryError, match=r"smaller batch_size.*CUDA out of memory"):
        classifier.fit(*rows)
    with pytest.raises(ValueError, match="other"), device_memory("less"):
        raise ValueError("other")


# Measured -----------------------------------------------------------------

PEAK = """
import json, resource, sys
import numpy as np, torch
torch.set_num_threads(1)
from gamo_sampler import GAMOClassifier, GAMOSampler
from gamo_sampler import _base, _generation, _memory, _sampler

estimates = []
def note(what, parts, *device):
    estimates.append(sum(part.n_bytes for part in parts))

kind, (n, n_rare, d) = sys.argv[1], map(int, sys.argv[2:])
short = {"random_state": 0, "max_iter": 2, "rounds_per_epoch": 2}
learned = {
    "rows": lambda X, y: GAMOClassifier(**short).fit(X, y),
    "hull": lambda X, y: GAMOClassifier(neighborhood=None, **short).fit(X, y),
    "result": lambda X, y: GAMOSampler(neighborhood=None, **short).fit_resample(X, y),
}[kind]
draw = np.random.default_rng(0)
few = draw.standard_normal((60, 3), np.float32), np.arange(60) < 20
learned(*few)  # what is loaded, and cached, with the first fit
X, y = draw.standard_normal((n, d), np.float32), np.arange(n) < n_rare
for module in (_base, _generation, _memory, _sampler):
    module.check_memory = note
before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
learned(X, y)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([max(estimates), peak - before]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in bytes elsewhere")
@pytest.mark.parametrize(
    "sizes",
    [
        # From some 500 MB on: what one block takes while it is scaled is not counted.
        ("rows", "70000", "30000", "1200"),
        ("rows", "100000", "30000", "1000"),
        ("rows", "100000", "40000", "2000"),
        ("hull", "900000", "400000", "2"),
        ("hull", "1500000", "700000", "2"),
        ("hull", "2500000", "1200000", "2"),
        ("result", "10000", "500", "20"),
        ("result", "20000", "1000", "20"),
        ("result", "30000", "1500", "20"),
    ],
    ids=" ".join,
)
def test_estimates_are_lower_bounds_near_what_is_measured(sizes):
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *sizes], check=True, capture_output=True, text=True
    )
    estimate, measured = json.loads(done.stdout)
    assert 0.7 * measured <= estimate <= measured


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_fits_leave_nothing_behind(rows):
    """Of 200 in one process: no array or network, and no memory of the process's."""

    def fit(n):
        for seed in range(n):
            GAMOSampler(max_iter=1, random_state=seed).fit_resample(*rows)
            GAMOClassifier(max_iter=1, random_state=seed).fit(*rows).predict(rows[0])
        gc.collect()

    def resident():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def alive():
        kinds = torch.Tensor, nn.Module
        # By type, as some of torch's own objects warn where they are looked into.
        return sum(issubclass(type(kept), kinds) for kept in gc.get_objects())

    fit(50)
    n_before = alive()
    before = resident()
    fit(100)
    assert resident() - before < 2 * 2**20  # 10 kB per fit
    assert alive() == n_before
    tracemalloc.start()
    fit(5)
    before = tracemalloc.get_traced_memory()[0]
    fit(20)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    # Python keeps some of the smallest objects for later; a network has 10 kB of them.
    assert grown < 20 * 5000


def test_a_part_is_counted_in_bytes_of_single_precision():
    assert torch.zeros((), dtype=torch.float32).element_size() == FLOAT


def test_numbers_beyond_any_integer_of_the_machine():
    X, y = load_iris(return_X_y=True)
    X, y = X[:110], y[:110]
    sampler = GAMOSampler(random_state=0)
    sampler.fit_resample(X, y)
    for n in (10**19, {2: 10**25}):
        with pytest.raises(MemoryError, match="more than any memory holds"):
            sampler.sample(n)
    sampler.set_params(sampling_strategy={2: 10**19})
    with pytest.raises(
        MemoryError, match=r"more rows than any memory holds: \{2: 1000"
    ):
        sampler.fit_resample(X, y)
