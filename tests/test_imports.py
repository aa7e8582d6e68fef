"""Who imports whom: the map of the package, checked against its imports."""

import ast
from pathlib import Path

import gamo_sampler
from gamo_sampler import displays

ALLOWED = {
    "__init__": {
        "_classifier",
        "_compare",
        "_features",
        "_gamo2pix",
        "_priors",
        "_published",
        "_recipe",
        "_sampler",
        "_saving",
        "_show_versions",
        "_version",
    },
    "__main__": {"__init__", "_cli", "_images"},
    "_audit": set(),
    "_bar": set(),
    "_base": {
        "_build",
        "_checkpoint",
        "_diagnosis",
        "_distributed",
        "_game",
        "_generation",
        "_images",
        "_labelled",
        "_limits",
        "_listeners",
        "_losses",
        "_memory",
        "_parameters",
        "_past",
        "_restoring",
        "_stops",
        "_summary",
        "_torch",
        "_training",
        "_warn",
        "_watch",
        "_weights",
        "exceptions",
    },
    "_build": {"_networks"},
    "_checkpoint": {"_described", "_persistence", "_torch", "_version", "_warn"},
    "_classifier": {
        "_base",
        "_docs",
        "_export",
        "_images",
        "_lazy",
        "_past",
        "_priors",
        "_saving",
        "_stored",
        "_strategy",
    },
    "_cli": {"_compare", "_files", "_report", "_sampler"},
    "_columns": {"_frames", "_warn"},
    "_compare": {"_bar", "_columns", "_contenders", "_frames", "_torch", "_verdict"},
    "_constraints": {"_provenance"},
    "_contenders": {"_priors", "_sampler", "_tables"},
    "_diagnosis": {"_audit"},
    "_described": set(),
    "_distributed": {"_described"},
    "_docs": set(),
    "_draws": {"_distributed", "_losses", "_networks", "_stored", "_torch"},
    "_export": {"_torch"},
    "_features": {"_classifier", "_inner", "_saving", "_stored"},
    "_files": {"_frames"},
    "_frames": set(),
    "_game": {"_distributed", "_draws", "_losses", "_memory", "_torch"},
    "_gamo2pix": {
        "_bar",
        "_build",
        "_classifier",
        "_frames",
        "_game",
        "_images",
        "_inner",
        "_losses",
        "_memory",
        "_networks",
        "_oversampler",
        "_provenance",
        "_saving",
        "_stored",
        "_strategy",
        "_torch",
        "_watch",
    },
    "_generation": {
        "_frames",
        "_images",
        "_lazy",
        "_memory",
        "_networks",
        "_torch",
        "_watch",
    },
    "_health": {"_audit", "_memory", "_networks", "_watch"},
    "_images": {"_lazy"},
    "_inner": {"_classifier", "_summary"},
    "_inspection": {"_audit", "_constraints", "_provenance", "_recipe"},
    "_labelled": {"_lazy"},
    "_lazy": set(),
    "_limits": set(),
    "_listeners": {"_bar", "_game"},
    "_losses": set(),
    "_memory": set(),
    "_networks": {"_losses"},
    "_oversampler": {"_frames", "_images", "_strategy"},
    "_parameters": {"_game", "_losses"},
    "_past": {"_build", "_stored", "_torch"},
    "_persistence": set(),
    "_priors": set(),
    "_provenance": {"_columns", "_frames", "_torch"},
    "_published": set(),
    "_recipe": {"_columns", "_frames", "_provenance", "_tables"},
    "_report": {"_columns"},
    "_restoring": {
        "_build",
        "_draws",
        "_images",
        "_past",
        "_saving",
        "_stored",
        "_summary",
        "_torch",
        "_watch",
    },
    "_sampler": {
        "_base",
        "_columns",
        "_docs",
        "_frames",
        "_images",
        "_inspection",
        "_lazy",
        "_memory",
        "_provenance",
        "_saving",
        "_stored",
        "_strategy",
        "_tables",
        "_torch",
    },
    "_saving": {"_persistence", "_stored", "_stored_frames", "_version"},
    "_show_versions": {"_version"},
    "_stops": {"_warn"},
    "_stored": set(),
    "_stored_frames": {"_stored"},
    "_strategy": {"_warn"},
    "_summary": {"_game", "_stored"},
    "_tables": {"_columns", "_frames", "_lazy", "_provenance", "_stored"},
    "_torch": {"_lazy", "_stored"},
    "_training": {"_game", "_health", "_warn", "_watch", "exceptions"},
    "_typing": set(),
    "_verdict": {"_contenders"},
    "_version": set(),
    "_warn": set(),
    "_watch": {"exceptions"},
    "_weights": set(),
    "baselines.__init__": {"baselines._augment", "baselines._cgan", "baselines._dos"},
    "baselines._augment": {"_oversampler", "_torch"},
    "baselines._cgan": {
        "_build",
        "_game",
        "_losses",
        "_networks",
        "_oversampler",
        "_torch",
        "_watch",
        "baselines._dcgan",
        "baselines._training",
    },
    "baselines._dcgan": {"_networks"},
    "baselines._dos": {
        "_base",
        "_build",
        "_game",
        "_images",
        "_losses",
        "_torch",
        "_watch",
        "baselines._targets",
        "baselines._training",
    },
    "baselines._targets": {"_torch", "_watch"},
    "baselines._training": {"_base"},
    "data.__init__": {"data._balanced", "data._parquet"},
    "data._balanced": {"_base", "_gamo2pix", "_images", "_lazy", "_strategy", "_torch"},
    "data._parquet": {"_frames", "_lazy", "_sampler"},
    "datasets.__init__": {"datasets._folders", "datasets._long_tailed"},
    "datasets._draw": set(),
    "datasets._folders": {"datasets._draw"},
    "datasets._long_tailed": {"datasets._draw"},
    "displays.__init__": {
        "displays._audit",
        "displays._contributors",
        "displays._history",
        "displays._images",
        "displays._rows",
        "displays._sources",
    },
    "displays._audit": {"_audit", "displays._figures"},
    "displays._contributors": {"displays._figures"},
    "displays._figures": {"_audit", "_images"},
    "displays._history": {"displays._figures"},
    "displays._images": {"_base", "_frames", "_provenance", "displays._figures"},
    "displays._plane": {"_columns", "_frames", "_images"},
    "displays._rows": {"_frames", "displays._figures", "displays._plane"},
    "displays._sources": {
        "_audit",
        "_provenance",
        "displays._figures",
        "displays._plane",
    },
    "exceptions": set(),
    "metrics.__init__": {"metrics._distances", "metrics._neighbors"},
    "metrics._distances": {"metrics._space"},
    "metrics._neighbors": {"metrics._space"},
    "metrics._space": set(),
}


PACKAGE = Path(gamo_sampler.__file__).parent


def name_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imports_of_ours(path):
    folders = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(a.name.startswith("gamo_sampler") for a in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert not node.module.startswith("gamo_sampler")
        if isinstance(node, ast.ImportFrom) and node.level:
            base = folders[: len(folders) - node.level + 1]
            for alias in node.names:
                inner = alias.name if alias.name.startswith("_") else "__init__"
                yield ".".join([*base, node.module or inner])


def test_imports_follow_the_map():
    found = {
        name_of(path): set(imports_of_ours(path)) - {"_typing"}  # names for all
        for path in PACKAGE.rglob("*.py")
    }
    assert found == ALLOWED


def test_public_names():
    assert set(gamo_sampler.__all__) == {
        "GAMO2Pix",
        "GAMOClassifier",
        "GAMOFeatures",
        "GAMOSampler",
        "PriorCorrectedClassifier",
        "Recipe",
        "__version__",
        "compare",
        "load",
        "published",
        "show_versions",
    }


def test_public_displays():
    assert set(displays.__all__) == {
        "AuditDisplay",
        "ContributorsDisplay",
        "GeneratedRowsDisplay",
        "ImageGridDisplay",
        "SourceWeightsDisplay",
        "TrainingHistoryDisplay",
    }
