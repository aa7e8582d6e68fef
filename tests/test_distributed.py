"""Fits that processes share, against one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from gamo_sampler import GAMOClassifier

from .shared_fits import FITS, SMALL, outcome, table

ROOT = Path(__file__).parents[1]
# The order of a sum is all that differs: a few of float32's last bits per step, which
# add up over a dozen of them.
ALIKE = {"rtol": 1e-4, "atol": 1e-6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two processes wrote, started for real by torchrun on this machine."""
    folder = tmp_path_factory.mktemp("shared_fits")
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [sys.executable, "-m", *torchrun, "-m", "tests.shared_fits", folder],
        cwd=ROOT,
        env=os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=240,
    )
    return folder


@pytest.fixture(scope="module")
def what_else(folder):
    paths = (folder / f"what_else.{rank}.json" for rank in (0, 1))
    return [json.loads(path.read_text()) for path in paths]


@pytest.mark.parametrize("name", FITS)
def test_two_processes_equal_one(folder, name):
    estimator, data = FITS[name]
    one = outcome(clone(estimator), data)
    first, second = (np.load(folder / f"{name}.{rank}.npz") for rank in (0, 1))
    assert set(first) == set(second) == set(one)
    for key, value in one.items():
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)
        np.testing.assert_allclose(first[key], value, err_msg=key, **ALIKE)


def test_the_fits_tell_learned_from_unlearned():
    """What a step changes is far above the tolerance of the comparison."""
    estimator, data = FITS["sampler"]
    learned = outcome(clone(estimator), data)
    start = outcome(clone(estimator).set_params(learning_rate=1e-12), data)
    changed = [k for k in learned if not np.allclose(learned[k], start[k], **ALIKE)]
    assert {"classifier.0.weight", "discriminator.0.weight"} <= set(changed)
    assert {"generator.ctmu.0.weight", "generator.igu.query.weight"} <= set(changed)


def test_early_stopping_stops_both_before_the_end(folder):
    epochs = np.load(folder / "stopped.0.npz")["history.epoch"]
    assert len(epochs) < FITS["stopped"][0].max_iter


def test_a_group_of_the_user_s_own_is_used_and_left(folder, what_else):
    own, started = (np.load(folder / f"{name}.1.npz") for name in ("own", "sampler"))
    for key in started:
        np.testing.assert_array_equal(own[key], started[key])
    assert [found["own group"] for found in what_else] == [True, True]


def test_torchrun_s_group_ends_with_the_fit(what_else):
    assert [found["group"] for found in what_else] == [False, False]


def test_processes_without_a_seed_agree_on_one(what_else):
    first, second = (np.array(found["fresh"]) for found in what_else)
    np.testing.assert_array_equal(first, second)
    X, y = table()
    seeded = GAMOClassifier(max_iter=1, **SMALL).fit(X, y).predict_proba(X)
    assert not np.allclose(first, seeded)


@pytest.mark.parametrize(
    ("case", "given"), [("rows", "X"), ("labels", "y"), ("seed", "random_state")]
)
def test_what_is_not_the_same_is_refused_by_all(what_else, case, given):
    for found in what_else:
        assert found[case].startswith(f"Process 1 of 2 has another {given} than")


def test_networks_with_batch_statistics_are_refused_by_name(what_else):
    for found in what_else:
        assert found["statistics"].startswith(
            "The classifier has batch statistics (BatchNorm1d)"
        )


def test_a_parallel_search_shares_no_fit(what_else):
    classifier = GAMOClassifier(max_iter=1, **SMALL)
    scores = cross_val_score(classifier, *table(), cv=2, scoring="neg_log_loss")
    for found in what_else:
        assert found["scores"] == scores.tolist()
