"""The same bits whatever goes on beside a fit, which leaves no trace itself."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from numpy.testing import assert_array_equal
from sklearn.base import clone

from gamo_sampler import GAMO2Pix, GAMOClassifier, GAMOFeatures, GAMOSampler
from gamo_sampler.baselines import AugmentationSampler, CGANSampler, DOSClassifier

N_THREADS = 3


class Dropping(torch.nn.Sequential):
    """A network as users build them, which draws from the process's RNG throughout."""

    def __init__(self, n_in, n_out):
        super().__init__(
            torch.nn.Linear(n_in, 6), torch.nn.Dropout(0.5), torch.nn.Linear(6, n_out)
        )


class Noisy(torch.nn.Linear):
    """A generator that draws, from the same, whenever it is used."""

    def forward(self, x):
        return super().forward(x) + torch.randn(len(x), self.out_features)


OWN = {"classifier": Dropping, "discriminator": Dropping}
SHORT = {"max_rounds": 4, "random_state": 0}
# Of each estimator the rows or probabilities that follow from all of its fit.
KINDS = {
    "classifier": GAMOClassifier(**SHORT),
    "classifier, own": GAMOClassifier(**SHORT, **OWN, feature_extractor=Dropping),
    "classifier, stopped": GAMOClassifier(**SHORT, early_stopping=True),
    "sampler": GAMOSampler(**SHORT),
    "sampler, hull": GAMOSampler(**SHORT, neighborhood=None),
    "sampler, own": GAMOSampler(**SHORT, **OWN, generator=Noisy),
    "pix": GAMO2Pix(GAMOClassifier(**SHORT, feature_extractor="conv"), **SHORT),
    "features": GAMOFeatures(GAMOClassifier(**SHORT, feature_extractor=Dropping)),
    "cgan": CGANSampler(**SHORT),
    "dos": DOSClassifier(**SHORT),
    "dos, own": DOSClassifier(**SHORT, feature_extractor=Dropping),
    "augmented": AugmentationSampler(random_state=0),
}
BUILT_IN = [kind for kind in KINDS if "own" not in kind and kind != "features"]
GAMES = [kind for kind in KINDS if kind.startswith(("classifier", "sampler"))]


def bits(kind, table, random_state=0, **parameters):
    """What a fit to the table gives."""
    X, y = table
    model = clone(KINDS[kind]).set_params(**parameters)
    seeds = [name for name in model.get_params() if name.endswith("random_state")]
    model.set_params(**dict.fromkeys(seeds, random_state))
    if hasattr(model, "fit_resample"):
        return model.fit_resample(X, y)[0]
    model.fit(X, y)
    return model.transform(X) if kind == "features" else model.predict_proba(X)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_and_another_one(table, kind):
    one = bits(kind, table)
    assert_array_equal(bits(kind, table), one)
    assert not np.array_equal(bits(kind, table, random_state=1), one)


@pytest.mark.parametrize("kind", KINDS)
def test_fits_in_threads_give_what_they_give_alone(table, kind):
    """All start at once, each with a seed of its own."""
    seeds = range(N_THREADS)
    alone = [bits(kind, table, random_state=seed) for seed in seeds]
    start = Barrier(N_THREADS)

    def fit(seed):
        start.wait()
        return bits(kind, table, random_state=seed)

    with ThreadPoolExecutor(N_THREADS) as pool:
        together = list(pool.map(fit, seeds))
    for one, other in zip(alone, together, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("kind", BUILT_IN)
def test_our_networks_never_set_the_process_s_random_state(table, kind, monkeypatch):
    """Not even to what it was: another thread may have drawn from it meanwhile."""

    def refuse(*args):
        raise AssertionError("set")

    for name in ("set_rng_state", "manual_seed"):
        monkeypatch.setattr(torch, name, refuse)
    bits(kind, table)


def test_joblib_s_threads_give_the_same(table):
    """Its processes are in test_classifier.py, Dask's in test_searches.py."""
    found = [
        Parallel(n_jobs, prefer="threads")(
            delayed(bits)(kind, table, seed) for kind in GAMES for seed in (0, 1)
        )
        for n_jobs in (1, 2)
    ]
    for one, other in zip(*found, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("model", [KINDS["sampler"], KINDS["sampler, own"]])
def test_samples_in_threads_give_what_they_give_alone(table, model):
    X, y = table
    sampler = clone(model)
    sampler.fit_resample(X, y)
    seeds = range(4 * N_THREADS)
    alone = [sampler.sample(20, random_state=seed)[0] for seed in seeds]
    with ThreadPoolExecutor(N_THREADS) as pool:
        together = pool.map(lambda s: sampler.sample(20, random_state=s)[0], seeds)
    for one, other in zip(alone, together, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("kind", GAMES)
def test_what_is_shown_changes_nothing(table, kind, capsys):
    silent = bits(kind, table)
    assert capsys.readouterr() == ("", "")
    for verbose in (1, 2, 3):
        assert_array_equal(bits(kind, table, verbose=verbose), silent)
        assert any(capsys.readouterr())


# The state of the process -------------------------------------------------------


def state():
    """What of numpy, torch and Python a fit might change for others."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "torch's RNG": torch.random.get_rng_state().tolist(),
        "numpy's RNG": (name, keys.tolist(), *rest),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "anomaly": torch.is_anomaly_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "filters": list(warnings.filters),
        "errstate": np.geterr(),
    }


class Failing(Dropping):
    """Fails in the middle of the game, after it has drawn."""

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out)
        self.calls = count()

    def forward(self, x):
        if next(self.calls) == 8:
            raise RuntimeError("in the middle")
        return super().forward(x)


@pytest.fixture
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("kind", BUILT_IN)
def test_other_settings_make_no_difference_and_stay(table, kind, float64_by_default):
    torch.set_default_dtype(torch.float32)
    expected = bits(kind, table)
    torch.set_default_dtype(torch.float64)
    with (
        torch.inference_mode(),
        torch.device("meta"),
        torch.autocast("cpu"),
        np.errstate(all="raise", under="ignore"),
        warnings.catch_warnings(action="error"),
    ):
        before = state()
        found = bits(kind, table)
        assert state() == before
    with torch.no_grad():
        again = bits(kind, table)
    assert_array_equal(found, expected)
    assert_array_equal(again, expected)


@pytest.mark.parametrize("name", ["classifier", "discriminator", "generator"])
def test_a_fit_that_fails_leaves_no_trace(table, name, float64_by_default):
    model = GAMOSampler(**SHORT, **{name: Failing})
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        before = state()
        with pytest.raises(RuntimeError, match="in the middle"):
            model.fit_resample(*table)
        assert state() == before


def test_a_wrong_parameter_leaves_no_trace(table):
    before = state()
    wrong = [{"device": "nonsense"}, {"scoring": "nonsense"}, {"classifier": int}]
    for parameters in wrong:
        with pytest.raises((TypeError, ValueError)):
            GAMOClassifier(**SHORT, **parameters).fit(*table)
    assert state() == before


def test_what_was_drawn_before_makes_no_difference(table):
    """Nor does the process's RNG follow from a fit."""
    kinds = [kind for kind in GAMES if "own" in kind]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        one = [bits(kind, table) for kind in kinds]
        drawn = torch.rand(3)
        torch.manual_seed(4)
        two = [bits(kind, table) for kind in kinds]
        torch.manual_seed(3)
        assert torch.equal(torch.rand(3), drawn)
    for a, b in zip(one, two, strict=True):
        assert_array_equal(a, b)
