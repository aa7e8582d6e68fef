"""The audit of copies."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from gamo_sampler import GAMOSampler
from gamo_sampler._audit import audit_class


def test_known_weights():
    rows = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    weights = csr_array([[1, 0, 0], [0.5, 0.5, 0], [0.25, 0.25, 0.5]])
    found = audit_class(weights, rows)
    assert (found["n_real"], found["n_generated"]) == (3, 3)
    assert found["largest_weight"] == pytest.approx(2 / 3)
    assert found["effective_sources"] == pytest.approx((1 + 2 + 1 / 0.375) / 3)
    assert found["near_copies"] == pytest.approx(1 / 3)
    # Distances 0, 2 and 5^.5 to the nearest; real rows are 4 apart.
    assert found["distance_ratio"] == pytest.approx((0 + 2 + 5**0.5) / 3 / 4)
    assert found["in_hull"]


@pytest.mark.parametrize("weights", [[[0.5, 0.4]], [[1.2, -0.2]]])
def test_rows_out_of_the_hull_are_found(weights):
    assert not audit_class(csr_array(weights), np.eye(2))["in_hull"]


def test_one_row_has_no_distance():
    assert np.isnan(audit_class(csr_array([[1.0]]), np.ones((1, 2)))["distance_ratio"])
    equal = np.tile(np.linspace(-3, 7, 40), (30, 1))
    weights = csr_array(np.full((5, 30), 1 / 30))
    assert np.isnan(audit_class(weights, equal)["distance_ratio"])


@pytest.mark.parametrize("neighborhood", ["class", None])
def test_of_a_sampler(table, neighborhood):
    sampler = GAMOSampler(neighborhood=neighborhood, max_rounds=3, random_state=0)
    sampler.fit_resample(*table)
    audit = sampler.audit()
    assert list(audit) == [1, 2]
    for label, n_real in ((1, 12), (2, 7)):
        own = audit[label]
        assert (own["n_real"], own["n_generated"]) == (n_real, 40 - n_real)
        assert own["in_hull"]
        assert 0 < own["distance_ratio"] < 2
        if neighborhood is None:
            assert own["effective_sources"] > 3
            assert own["near_copies"] == 0
        else:
            assert 1 < own["effective_sources"] < 2


def test_weight_on_another_class_is_found(table):
    sampler = GAMOSampler(max_rounds=3, random_state=0)
    X, y = table
    sampler.fit_resample(X, y)
    weights = sampler.provenance_.tolil()
    weights[0] = 0
    weights[0, np.flatnonzero(y == 0)[0]] = 1
    sampler.provenance_ = weights.tocsr()
    audit = sampler.audit()
    assert not audit[1]["in_hull"]
    assert audit[2]["in_hull"]


def test_prints_as_a_table(table):
    sampler = GAMOSampler(max_rounds=3, random_state=0)
    sampler.fit_resample(table[0], np.array(["a", "<b>", "c"])[table[1]])
    audit = sampler.audit()
    title, *lines = str(audit).splitlines()
    assert "share of near copies" in title
    assert [line.split()[0] for line in lines] == ["<b>", "c"]
    html = audit._repr_html_()
    assert html.count("<tr>") == 3
    assert "&lt;b&gt;" in html


def test_features_are_compared_in_their_own_space(digits):
    X, y = digits
    sampler = GAMOSampler(
        feature_extractor="conv", image_shape=(1, 8, 8), max_rounds=3, random_state=0
    )
    sampler.fit_resample(X[y < 3], y[y < 3])
    audit = sampler.audit()
    assert list(audit) == [1, 2]
    assert all(own["in_hull"] for own in audit.values())
