"""M after F in a file that runs without this package: torch.export and ONNX."""

import json
import logging
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ._torch import workspace

CLASSES = "classes.json"
# What torch's exporters say of themselves, whatever they export.
NOISE = "No complete tensor found|`isinstance\\(treespec, LeafSpec\\)`"
LOGGER = "torch.onnx._internal.exporter._registration"


class Served(nn.Module):
    """Rows as `predict_proba` takes them to what it gives.

    Scaling is in float64: columns of a large offset would lose their digits in float32.
    """

    def __init__(self, scaling, networks, channels_last, correction=None):
        super().__init__()
        self.register_buffer("center", torch.as_tensor(scaling.center))
        self.register_buffer("scale", torch.as_tensor(scaling.scale))
        self.networks = nn.Sequential(*networks)
        self.channels_last = channels_last
        self.correction = correction

    def forward(self, X):
        x = X.double()
        x = (x.movedim(-1, 1) if self.channels_last else x).flatten(1)
        scores = self.networks(((x - self.center) / self.scale).float())
        probabilities = scores.double().softmax(1)
        return self.correction(probabilities) if self.correction else probabilities


class PriorCorrection(nn.Module):
    """What `change_prior` does, of tensors."""

    def __init__(self, ratio, prior):
        super().__init__()
        self.register_buffer("ratio", torch.as_tensor(ratio))
        self.register_buffer("prior", torch.as_tensor(prior))

    def forward(self, probabilities):
        weighted = probabilities * self.ratio
        said = weighted.sum(1, keepdim=True) > 0
        weighted = torch.where(said, weighted, self.prior)
        return weighted / weighted.sum(1, keepdim=True)


def check_path(path):
    """The path, and the function that writes such a file."""
    path = Path(path)
    if path.suffix not in WRITERS:
        raise ValueError(
            f"path must end in one of {', '.join(WRITERS)}, which tells the format, "
            f"got {str(path)!r}."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r} is in a folder that is not there.")
    if path.suffix == ".onnx":
        _check_onnx()
    return path, WRITERS[path.suffix]


def exported(served, shape, dtype):
    """The program of rows (n, *shape), for any n."""
    n = torch.export.Dim("n", min=1)
    with workspace(), _quiet():
        try:
            rows = torch.from_numpy(np.zeros((2, *shape), dtype.newbyteorder("=")))
            return torch.export.export(
                served.eval(), (rows,), dynamic_shapes={"X": {0: n}}
            )
        except Exception as error:
            raise ValueError(
                f"torch.export cannot follow the classifier's networks, or rows of "
                f"{dtype}: {error}"
            ) from error


def write_program(program, path, classes):
    """A .pt2 file, which `torch.export.load` reads."""
    with _quiet():
        torch.export.save(program, path, extra_files={CLASSES: labels_json(classes)})


def write_onnx(program, path, classes):
    """An .onnx file."""
    with workspace(), _quiet():
        model = torch.onnx.export(
            program,
            input_names=["X"],
            output_names=["probabilities"],
            verbose=False,
        )
    model.model.metadata_props["classes"] = labels_json(classes)
    model.save(path)


WRITERS = {".pt2": write_program, ".onnx": write_onnx}


def labels_json(classes):
    """Labels as a JSON list, in their order; what JSON has not got as text."""
    labels = classes.astype(str) if classes.dtype.kind in "mM" else classes
    return json.dumps(labels.tolist(), default=str)


def _check_onnx():
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "ONNX files are written by onnx and onnxscript: "
            'pip install "gamo_sampler[export]".'
        ) from error


@contextmanager
def _quiet():
    """Without warnings of the exporters that are not about what is exported."""

    def of_ours(record):
        return "torchvision is not installed" not in record.getMessage()

    logger = logging.getLogger(LOGGER)
    logger.addFilter(of_ours)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=NOISE)
            yield
    finally:
        logger.removeFilter(of_ours)
