"""Fits that processes share, against one process."""

import json
import os
import subprocess
import sys
from contextlib import chdir
from functools import partial

import joblib
import numpy as np
import pytest
import torch
import torch.distributed as dist
from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from sklearn.datasets import load_digits

from gamo_sampler import GAMOClassifier, _distributed
from gamo_sampler._described import described
from gamo_sampler._distributed import Group, n_processes, own_device
from gamo_sampler._game import Player

from .pages import ROOT
from .shared_fits import (
    DIFFERENT,
    FITS,
    SMALL,
    cross_validated,
    further_fits,
    outcome,
    pictures,
    refusal,
    run_the_page_s_script,
    table,
)

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


def test_both_go_on_from_the_file_of_the_first(folder, what_else):
    for rank, found in enumerate(what_else):
        assert "training: 1\n" in found["printed"]
        unbroken, gone_on = (
            np.load(folder / f"{name}.{rank}.npz") for name in ("images", "gone_on")
        )
        for key, value in unbroken.items():
            np.testing.assert_array_equal(gone_on[key], value, err_msg=key)


def test_a_group_of_the_user_s_own_is_used_and_left(folder, what_else):
    own, started = (np.load(folder / f"{name}.1.npz") for name in ("own", "sampler"))
    for key in started:
        np.testing.assert_array_equal(own[key], started[key])
    assert [found["own group"] for found in what_else] == [True, True]


def test_the_page_s_script_gives_what_one_process_gives(folder, tmp_path):
    with chdir(tmp_path):
        run_the_page_s_script()
    images, _ = load_digits(return_X_y=True)
    for name, read in {
        "classifier.joblib": lambda path: joblib.load(path).predict(
            images.reshape(-1, 8, 8)
        ),
        "resampled.npz": lambda path: np.load(path)["X"],
    }.items():
        one, two = read(tmp_path / name), read(folder / name)
        assert one.shape == two.shape
        # With Adam's usual epsilon last bits grow to a flipped label here and there.
        assert np.mean(one == two) > 0.99
    alone = [np.load(path / "alone.npy") for path in (tmp_path, folder)]
    np.testing.assert_array_equal(*alone)


def test_a_fit_waits_for_a_process_that_does_not_come_but_not_for_long(what_else):
    assert what_else[0]["alone"].startswith(
        "Process 0 waited 1 s for processes [1] of 2 to come to this fit."
    )


def test_torchrun_s_group_ends_with_the_fit(what_else):
    assert [found["group"] for found in what_else] == [False, False]


def test_processes_without_a_seed_agree_on_one(what_else):
    first, second = (np.array(found["fresh"]) for found in what_else)
    np.testing.assert_array_equal(first, second)
    X, y = table()
    seeded = GAMOClassifier(max_iter=1, **SMALL).fit(X, y).predict_proba(X)
    assert not np.allclose(first, seeded)


@pytest.mark.parametrize(
    ("case", "given"),
    [
        ("rows", "X"),
        ("labels", "y"),
        ("weights", "sample_weight"),
        ("seed", "random_state"),
        *((name, name) for name in DIFFERENT),
    ],
)
def test_what_is_not_the_same_is_refused_by_all(what_else, case, given):
    for found in what_else:
        assert found[case].startswith(
            f"Process 1 of 2 has another {given} than process 0."
        )


def test_callables_are_compared_by_name():
    """Their addresses are not those of another process."""
    assert described(nested()) == described(nested()) != described(table)
    assert described(partial(table)) == described(partial(table))
    assert described(partial(table)) != described(partial(nested))


def nested():
    return lambda n_in, n_out: None


def test_networks_with_batch_statistics_are_refused_by_name(what_else):
    for found in what_else:
        assert found["statistics"].startswith(
            "The classifier has batch statistics (BatchNorm1d)"
        )


@pytest.mark.filterwarnings("ignore:.* Going back to the end of epoch 0")
def test_a_fit_that_fails_fails_in_all_as_in_one(what_else):
    one = refusal(clone(FITS["hull"][0]).set_params(learning_rate=1e30), *table())
    assert one.startswith("Training failed in epoch 1: the classifier was the first")
    assert [found["failure"] for found in what_else] == [one, one]


def test_fits_that_go_on_are_shared(what_else):
    alone = further_fits()
    for found in what_else:
        np.testing.assert_allclose(found["further"], alone, rtol=1e-3, atol=1e-5)
    assert what_else[0]["further"] == what_else[1]["further"]


def test_what_ends_one_process_ends_all_after_the_epoch(what_else):
    for found in what_else:
        assert found["ends"] == [[2, 6], [1, 3]]


def test_fits_of_a_search_are_shared_but_not_those_of_a_parallel_one(what_else):
    scores, in_group = cross_validated()
    assert in_group == [False, False]
    for found in what_else:
        shared, in_group = found["search of 1"]
        assert in_group == [True, True]
        assert shared == pytest.approx(scores, rel=1e-5)
        assert found["search of 2"] == [scores, [False, False]]


def test_pictures_come_from_a_shared_game(folder):
    first, second = (np.load(folder / f"pictures.{rank}.npy") for rank in (0, 1))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, pictures(), atol=1e-3)


@pytest.mark.parametrize(
    ("launched", "size", "n"), [(False, "2", 1), (True, "1", 1), (True, "3", 3)]
)
def test_processes_are_torchrun_s(monkeypatch, launched, size, n):
    monkeypatch.setenv("WORLD_SIZE", size)
    monkeypatch.setattr(dist, "is_torchelastic_launched", lambda: launched)
    assert n_processes() == n
    with parallel_config("threading", n_jobs=2):
        assert Parallel()([delayed(n_processes)()] * 2) == [1, 1]


@pytest.mark.parametrize(
    ("device", "n", "local_rank", "expected"),
    [
        ("cuda", 4, "3", "cuda:1"),  # of two GPUs
        ("cuda", 4, None, "cuda"),
        ("cuda", 1, "3", "cuda"),
        ("cuda:0", 4, "3", "cuda:0"),
        ("cpu", 4, "3", "cpu"),
    ],
)
def test_each_process_has_a_gpu(monkeypatch, device, n, local_rank, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(_distributed, "n_processes", lambda: n)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if local_rank:
        monkeypatch.setenv("LOCAL_RANK", local_rank)
    assert own_device(torch.device(device)) == torch.device(expected)


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_parts_cover_the_rows_once(monkeypatch, n):
    """By three processes, one after the other, whose sums a list makes up."""
    rows = torch.arange(1.0, n + 1)
    means, parts = [], []
    for rank in range(3):
        group = group_of(rank, 3, monkeypatch)
        own = rows[group.own(n)]
        assert len(own) >= 1
        means.append(group.mean(own, n))
        monkeypatch.setattr(dist, "all_reduce", parts.append)
        group.whole(own, n)
    torch.testing.assert_close(sum(means), rows.mean())
    assert torch.equal(sum(parts), rows)


def group_of(rank, size, monkeypatch):
    monkeypatch.setattr(dist, "get_rank", lambda: rank)
    monkeypatch.setattr(dist, "get_world_size", lambda: size)
    return Group(torch.device("cpu"))


def test_gradients_keep_their_layout_and_none_stays_none(monkeypatch):
    def all_reduce(values):
        values += torch.tensor([1.0, 0.0, 1.0, *range(12), 0, 0, 2, 2])

    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    image = torch.nn.Parameter(torch.zeros(3, 2, 2, 1))
    image.data = image.data.to(memory_format=torch.channels_last)
    nobody_s, other_s = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    image.grad = torch.ones_like(image)
    group = group_of(0, 2, monkeypatch)
    group.add_gradients([image, nobody_s, other_s])
    assert torch.equal(image.grad.flatten(), torch.arange(12.0) + 1)
    assert image.grad.stride() == image.stride() != torch.zeros(3, 2, 2, 1).stride()
    assert nobody_s.grad is None
    assert torch.equal(other_s.grad, torch.tensor([2.0, 2.0]))


def test_networks_start_from_the_first_process(monkeypatch):
    def broadcast(values, source):
        assert source == 0
        assert values.is_contiguous()
        values.fill_(7)

    monkeypatch.setattr(dist, "broadcast", broadcast)
    with torch.random.fork_rng([]):
        network = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 2), torch.nn.BatchNorm2d(3))
    network.to(memory_format=torch.channels_last)
    Player(network, torch.optim.SGD, group=group_of(1, 2, monkeypatch))
    assert all((values == 7).all() for values in network.state_dict().values())
