"""Searches over the processes of a Dask cluster, against the serial ones."""

import os

import pytest
import torch
from distributed import Client, LocalCluster
from imblearn.pipeline import Pipeline
from joblib import parallel_config
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import StandardScaler

from gamo_sampler import GAMOClassifier, GAMOSampler

from .pages import snippet


@pytest.fixture(scope="module")
def client():
    """Of two processes of one thread each, where joblib's "dask" goes."""
    workers = {"n_workers": 2, "processes": True, "threads_per_worker": 1}
    with (
        LocalCluster(**workers, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def search(table):
    model = Pipeline(
        [
            ("scale", StandardScaler()),
            ("gamo", GAMOSampler(max_rounds=5, random_state=0)),
            ("clf", LogisticRegression()),
        ]
    )
    grid = {"gamo__neighborhood": ["class", 3], "clf__C": [0.1, 1.0]}
    return GridSearchCV(model, grid, cv=2, scoring="neg_log_loss").fit(*table)


def scores(table, scoring):
    model = GAMOClassifier(max_iter=2, random_state=0)
    return cross_val_score(model, *table, cv=4, scoring=scoring).tolist()


def process_of(estimator, X, y):
    return float(os.getpid())


def test_workers_have_the_threads_of_this_process(client):
    """The bits of a fit depend on their number."""
    assert set(client.run(torch.get_num_threads).values()) == {torch.get_num_threads()}


def test_fits_are_the_workers(client, table):
    with parallel_config("dask"):
        used = scores(table, process_of)
    assert set(used) <= set(client.run(os.getpid).values())
    assert os.getpid() not in used


def test_a_search_equals_the_serial_one(client, table):
    serial = search(table)
    with parallel_config("dask"):
        shared = search(table)
    for key, values in serial.cv_results_.items():
        if not key.endswith("_time"):
            assert list(values) == list(shared.cv_results_[key]), key
    X, _ = table
    expected = serial.best_estimator_.predict_proba(X)
    assert (shared.best_estimator_.predict_proba(X) == expected).all()


def test_cross_validation_equals_the_serial_one(client, table):
    serial = scores(table, "neg_log_loss")
    with parallel_config("dask"):
        shared = scores(table, "neg_log_loss")
    assert shared == serial
    assert len(set(serial)) > 1


def test_the_page_s_search_runs(client):
    block = snippet("doc/large.rst", "dask.distributed")
    address = client.scheduler.address
    namespace = {}
    exec(block.replace("tcp://scheduler:8786", address), namespace)
    namespace["client"].close()
    assert namespace["search"].best_params_["mixup"] in (0.0, 0.2)
