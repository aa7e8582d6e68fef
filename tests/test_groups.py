"""`groups` of GAMOSampler: what is mixed, and what is not."""

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.pipeline import make_pipeline
from numpy.testing import assert_array_equal
from scipy.stats import chisquare
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_validate

from gamo_sampler import GAMOSampler
from gamo_sampler._draws import Lots

SMALL = {"max_rounds": 3, "latent_dim": 5, "random_state": 0}
NEIGHBORHOODS = pytest.mark.parametrize("neighborhood", ["class", 4])


def sampler_of(**parameters):
    return GAMOSampler(**SMALL | parameters)


@pytest.fixture
def patients():
    """Rows whose first column is their patient's number, 40 of 0 and 20 of 1."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1], [40, 20]))
    groups = np.empty(60, int)
    groups[y == 0] = np.arange(40) % 5
    groups[y == 1] = rng.permutation(np.repeat([1, 3, 4, 8], [9, 5, 4, 2]))
    X = rng.normal(size=(60, 3))
    X[:, 0] = groups
    return X, y, groups


def is_pure(X):
    """Whether the first columns are patients' numbers, not mixtures of two."""
    return np.allclose(X[:, 0], X[:, 0].round(), atol=1e-9)


@NEIGHBORHOODS
def test_no_generated_row_mixes_two_groups(patients, neighborhood):
    X, y, groups = patients
    sampler = sampler_of(neighborhood=neighborhood)
    sampler.fit_resample(X, y)
    assert len(sampler.check_leakage(groups=groups)) > 5
    X_resampled, y_resampled = sampler.fit_resample(X, y, groups=groups)
    assert len(sampler.check_leakage(groups=groups)) == 0
    assert np.bincount(y_resampled).tolist() == [40, 40]
    np.testing.assert_allclose(sampler.provenance_ @ X, X_resampled[60:], atol=1e-12)
    n_sources = (sampler.provenance_ > 0).sum(1)
    assert (n_sources == 2).all()  # no copies
    assert_array_equal(y[sampler.provenance_.indices], 1)


@NEIGHBORHOODS
def test_sample_keeps_to_the_groups_too(patients, neighborhood):
    X, y, groups = patients
    sampler = sampler_of(neighborhood=neighborhood)
    sampler.fit_resample(X, y, groups=groups)
    assert is_pure(sampler.sample({1: 500})[0])
    sampler.fit_resample(X, y)
    assert not is_pure(sampler.sample({1: 500})[0])


@NEIGHBORHOODS
def test_what_is_withdrawn_leaves_the_groups_as_they_are(patients, neighborhood):
    X, y, groups = patients
    sampler = sampler_of(neighborhood=neighborhood)
    sampler.fit_resample(X, y, groups=groups)
    # One patient's rows altogether, and a part of another's.
    gone = (groups == 3) | (np.cumsum(groups == 1) % 2 == 1) & (groups == 1)
    sampler.withdraw(gone)
    new, _ = sampler.sample({1: 500})
    assert is_pure(new)
    assert set(new[:, 0].round()) == {1, 4, 8}
    assert len(sampler.check_leakage(groups=groups[~gone])) == 0


@NEIGHBORHOODS
def test_one_group_is_none(patients, neighborhood):
    X, y, _ = patients
    sampler = sampler_of(neighborhood=neighborhood)
    plain, _ = sampler.fit_resample(X, y)
    one, _ = sampler.fit_resample(X, y, groups=np.zeros(60))
    assert_array_equal(one, plain)


@pytest.mark.parametrize(
    "kind", [list, pd.Series, lambda groups: np.array([f"p{g}" for g in groups])]
)
def test_groups_of_any_kind(patients, kind):
    X, y, groups = patients
    sampler = sampler_of()
    expected, _ = sampler.fit_resample(X, y, groups=groups)
    found, _ = sampler.fit_resample(X, y, groups=kind(groups))
    assert_array_equal(found, expected)


def test_blocks_are_those_of_fit_resample(patients):
    X, y, groups = patients
    sampler = sampler_of()
    expected, _ = sampler.fit_resample(X, y, groups=groups)
    blocks = sampler.iter_resample(X, y, groups=groups, chunk_size=7)
    assert_array_equal(np.concatenate([rows for rows, _ in blocks]), expected)


def test_columns_of_categories_stay_within_groups(patients):
    X, y, groups = patients
    frame = pd.DataFrame({"a": X[:, 1], "patient": [f"p{g}" for g in groups]})
    sampler = sampler_of()
    resampled, _ = sampler.fit_resample(frame, y, groups=groups)
    assert len(sampler.check_leakage(groups=groups)) == 0
    carried = sampler.carry(frame["patient"], how="dominant")
    assert_array_equal(resampled["patient"][60:], carried)


def test_rows_that_are_held_out_take_their_groups_along(patients):
    X, y, groups = patients
    X[:, 0] = groups = groups % 2
    sampler = sampler_of(early_stopping=True, validation_fraction=0.3)
    sampler.fit_resample(X, y, groups=groups)
    assert len(sampler._members) == 14
    assert len(sampler.check_leakage(groups=groups)) == 0
    assert is_pure(sampler.sample({1: 200})[0])


# Draws


def test_anchors_are_any_row_of_the_class_and_others_any_of_the_cell():
    sizes, cells = torch.tensor([6, 9]), torch.tensor([4, 2, 1, 5, 3])
    lots = Lots(torch.tensor([1, 2]), sizes, 3, 2, torch.device("cpu"), cells)
    assert lots.smallest.tolist() == [2, 1]
    k = torch.tensor([0, 1]).repeat_interleave(3000)
    draw = lots.of(k, torch.Generator().manual_seed(0))
    for rows, low, high in zip(draw.rows.split(3000), (0, 6), (6, 15), strict=True):
        counts = np.bincount(rows, minlength=high)[low:]
        assert len(counts) == high - low
        assert chisquare(counts).pvalue > 1e-3
    cell = np.repeat(np.arange(5), cells)
    for row in range(15):
        others = draw.others[draw.rows == row].flatten()
        alike = np.flatnonzero(cell == cell[row])
        if len(alike) > 1:
            alike = alike[alike != row]
        assert_array_equal(np.unique(others), alike)


def test_neighbours_are_the_nearest_of_the_cell(patients):
    X, y, groups = patients
    sampler = sampler_of(neighborhood=4)
    sampler.fit_resample(X, y, groups=groups)
    members = sampler._members
    pool = sampler._scaling.forward(X[members])
    neighbors = sampler.generator_.igu.neighbors
    assert neighbors.shape == (20, 3)
    for row, found in enumerate(neighbors.tolist()):
        alike = np.flatnonzero(groups[members] == groups[members][row])
        others = alike[alike != row]
        distances = (pool[others] - pool[row]).square().sum(1)
        assert set(found) == set(others[distances.numpy().argsort()[:3]].tolist())


# Groups of one row


@NEIGHBORHOODS
def test_rows_alone_in_their_group_give_copies_with_one_warning(patients, neighborhood):
    X, y, groups = patients
    groups = groups.copy()
    groups[np.flatnonzero(y == 1)[:3]] = [90, 91, 92]
    sampler = sampler_of(neighborhood=neighborhood)
    with pytest.warns(UserWarning, match="^3 of the 20 rows to learn from") as caught:
        sampler.fit_resample(X, y, groups=groups)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    new, _ = sampler.sample({1: 500})
    alone = X[np.flatnonzero(y == 1)[:3]]
    distance = np.abs(new[:, None] - alone).max(2)
    assert ((distance < 1e-12).any(0)).all()
    assert (distance.min(1) < 1e-12).mean() < 0.3


@NEIGHBORHOODS
def test_where_all_are_alone_all_are_copies(patients, neighborhood):
    X, y, _ = patients
    sampler = sampler_of(neighborhood=neighborhood)
    with pytest.warns(UserWarning, match="^20 of the 20 rows"):
        resampled, _ = sampler.fit_resample(X, y, groups=np.arange(60))
    assert np.isin(resampled[60:, 1].round(9), X[:, 1].round(9)).all()


def test_a_class_of_one_row_has_its_own_warning_alone():
    X, y = np.arange(12.0)[:, None], np.repeat([0, 1, 2], [8, 3, 1])
    with pytest.warns(UserWarning, match="^Class 2 has one row") as caught:
        sampler_of().fit_resample(X, y, groups=np.zeros(12))
    assert len(caught) == 1


def test_bounds_on_weights_know_of_small_groups(patients):
    X, y, groups = patients
    sampler = sampler_of(max_weight=0.8)
    sampler.fit_resample(X, y, groups=groups)
    assert sampler.provenance_.max() <= 0.8 + 1e-9
    groups = groups.copy()
    groups[np.flatnonzero(y == 1)[0]] = 90
    with pytest.raises(ValueError, match="class 1 are made of 1 at most"):
        sampler.fit_resample(X, y, groups=groups)


# What is refused


@pytest.mark.parametrize(
    "parameters", [{"neighborhood": None}, {"generator": "unconstrained"}], ids=str
)
def test_generators_without_rows_to_choose_from_are_refused(patients, parameters):
    X, y, groups = patients
    with pytest.raises(ValueError, match="groups needs generator='convex'"):
        sampler_of(**parameters).fit_resample(X, y, groups=groups)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros(59), r"groups must have shape \(60,\), .* got shape \(59,\)"),
        (np.full(60, np.nan), "groups contains NaN"),
        (np.zeros((60, 2)), r"got shape \(60, 2\)"),
    ],
)
def test_groups_that_do_not_fit_are_refused(patients, wrong, message):
    X, y, _ = patients
    with pytest.raises(ValueError, match=message):
        sampler_of().fit_resample(X, y, groups=wrong)


# Metadata routing


@pytest.mark.parametrize("asks", [True, False])
def test_cross_validation_by_group_routes_them_to_the_sampler(patients, asks):
    X, y, groups = patients
    with config_context(enable_metadata_routing=True):
        sampler = sampler_of().set_fit_resample_request(groups=asks)
        found = cross_validate(
            make_pipeline(sampler, LogisticRegression()),
            X,
            y,
            params={"groups": groups},
            cv=GroupKFold(2),
            return_estimator=True,
            return_indices=True,
        )
    leaks = [
        len(model[0].check_leakage(groups=groups[train]))
        for model, train in zip(
            found["estimator"], found["indices"]["train"], strict=True
        )
    ]
    assert (max(leaks) == 0) == asks


def test_groups_of_several_types_are_refused(patients):
    X, y, groups = patients
    mixed = np.where(groups == 1, None, groups.astype(str))
    with pytest.raises(TypeError, match=r"groups must be all .* got NoneType, str"):
        sampler_of().fit_resample(X, y, groups=mixed)
