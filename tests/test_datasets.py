"""The published experiments' data: what is drawn, from which source, how it is cut."""

import doctest
import importlib
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.io import savemat

from gamo_sampler.datasets import (
    _folders,
    _long_tailed,
    fetch_long_tailed,
    load_celeba,
    load_lsun,
    load_sun397,
)
from gamo_sampler.datasets._draw import draw

COUNTS = [6, 5, 4, 3, 2, 1, 1, 1, 1, 2]


def test_draws_are_apart_and_have_the_sizes():
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [9, 7, 4]))
    test, train = draw(y, "abc", 0, n_test=2, counts=[7, 3, 2])
    assert_array_equal(y[test], [0, 0, 1, 1, 2, 2])
    assert_array_equal(y[train], np.repeat([0, 1, 2], [7, 3, 2]))
    assert len(np.unique(np.r_[test, train])) == len(test) + len(train)


def test_draw_is_random_and_repeatable():
    y = np.zeros(100, dtype=int)
    [first], [again] = (draw(y, "a", 0, counts=50) for _ in range(2))
    [other] = draw(y, "a", 1, counts=50)
    assert_array_equal(first, again)
    assert set(first) != set(other)
    assert set(first) != set(range(50))


def test_first_draw_does_not_depend_on_the_second():
    y = np.repeat([0, 1], 50)
    small, _ = draw(y, "ab", 0, n_test=5, counts=3)
    large, _ = draw(y, "ab", 0, n_test=5, counts=[40, 30])
    assert_array_equal(small, large)


def test_too_few_rows_are_reported():
    with pytest.raises(ValueError, match=r"'b' has 4 rows, but n_test \+ counts .* 5"):
        draw(np.repeat([0, 1], [9, 4]), "ab", 0, n_test=2, counts=[7, 3])


@pytest.mark.parametrize("size", [0, -1, 1.5, [1, 2, 3], [1, 0], "all", True])
def test_sizes_are_positive_integers(size):
    with pytest.raises(ValueError, match=r"counts must be a positive integer.*2 cla"):
        draw(np.repeat([0, 1], 9), "ab", 0, counts=size)


def numbered(n_per_class, shape):
    """Rows of ten classes, mixed; the first byte is the row's number."""
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(10), n_per_class))
    X = np.zeros((len(y), *shape), dtype=np.uint8)
    X.reshape(len(y), -1)[:, 0] = np.arange(len(y))
    return X, y


def assert_rows_of(X, y, drawn_X, drawn_y):
    """Drawn images are distinct images of X, with the labels that they have there."""
    rows = drawn_X.reshape(len(drawn_X), -1)[:, 0].astype(int)
    assert len(set(rows)) == len(rows)
    assert_array_equal(drawn_X, X[rows])
    assert_array_equal(drawn_y, y[rows])


@pytest.fixture
def npz(tmp_path):
    """Write a small data set as NAME.npz; its arrays."""

    def write(name, shape=(28, 28)):
        (X, y), (X_test, y_test) = numbered(8, shape), numbered(4, shape)
        data = {"x_train": X, "y_train": y, "x_test": X_test, "y_test": y_test}
        np.savez(tmp_path / f"{name}.npz", **data)
        return X, y, X_test, y_test

    return write


@pytest.mark.parametrize("file", ["mnist", "mnist_pool"])
def test_long_tail_from_npz(npz, tmp_path, file):
    X, y, X_test, y_test = npz(file)
    data = fetch_long_tailed(
        "mnist", counts=COUNTS, n_test=3, random_state=0, data_home=tmp_path
    )
    assert_array_equal(np.bincount(data.y_train), COUNTS)
    assert_array_equal(np.bincount(data.y_test), [3] * 10)
    assert_rows_of(X, y, data.X_train, data.y_train)
    assert_rows_of(X_test, y_test, data.X_test, data.y_test)
    assert set(data) == {"X_train", "y_train", "X_test", "y_test"}
    assert data.X_train.dtype == data.X_test.dtype == np.uint8


def test_full_file_comes_before_the_pool(npz, tmp_path):
    npz("svhn_pool", (32, 32, 1))
    npz("svhn", (32, 32, 3))
    data = fetch_long_tailed("svhn", counts=1, random_state=0, data_home=tmp_path)
    assert data.X_train.shape == (10, 32, 32, 3)


def test_all_test_rows_in_official_order(npz, tmp_path):
    *_, X_test, y_test = npz("mnist")
    data = fetch_long_tailed("mnist", counts=1, random_state=0, data_home=tmp_path)
    assert_array_equal(data.X_test, X_test)
    assert_array_equal(data.y_test, y_test)


def test_test_rows_do_not_depend_on_counts(npz, tmp_path):
    npz("mnist")
    one, two = (
        fetch_long_tailed(
            "mnist", counts=counts, n_test=2, random_state=0, data_home=tmp_path
        )
        for counts in (1, COUNTS)
    )
    assert_array_equal(one.X_test, two.X_test)


GREY = [4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40]
COLOUR = [4500, 2000, 1000, 800, 600, 500, 400, 250, 150, 80]


@pytest.mark.parametrize(
    ("name", "counts"),
    [("mnist", GREY), ("fashion_mnist", GREY), ("cifar10", COLOUR), ("svhn", COLOUR)],
)
def test_published_sizes_are_the_default(tmp_path, name, counts):
    y = np.repeat(np.arange(10), 4500)
    X = np.zeros((len(y), 1, 1), dtype=np.uint8)
    np.savez(tmp_path / name, x_train=X, y_train=y, x_test=X, y_test=y)
    data = fetch_long_tailed(name, n_test=40, random_state=0, data_home=tmp_path)
    assert_array_equal(np.bincount(data.y_train), counts)


def test_classes_that_are_too_small(npz, tmp_path):
    npz("mnist")
    with pytest.raises(ValueError, match=r"class 0 has 8 rows, but counts .* 4000"):
        fetch_long_tailed("mnist", random_state=0, data_home=tmp_path)
    with pytest.raises(ValueError, match=r"class 0 has 4 rows, but n_test .* 5"):
        fetch_long_tailed(
            "mnist", counts=1, n_test=5, random_state=0, data_home=tmp_path
        )


def test_unknown_name():
    with pytest.raises(ValueError, match=r"name must be one of \['cifar10'.*'digits'"):
        fetch_long_tailed("digits")


@pytest.fixture
def openml(monkeypatch):
    """Let OpenML's server hold 80 training and 40 test rows; what it was asked."""
    asked = {}

    def serve(name, rows, target):
        def fetch_openml(*args, **kwargs):
            asked.update(name=args[0], **kwargs)
            return _long_tailed.Bunch(data=rows.astype(float), target=target)

        monkeypatch.setattr(_long_tailed, "fetch_openml", fetch_openml)
        monkeypatch.setitem(_long_tailed.SPLITS, name, (80, 40))
        return asked

    return serve


@pytest.mark.parametrize(
    ("name", "openml_name", "shape"),
    [
        ("mnist", "mnist_784", (28, 28)),
        ("fashion_mnist", "Fashion-MNIST", (28, 28)),
        ("cifar10", "CIFAR_10", (32, 32, 3)),
        ("svhn", "SVHN", (32, 32, 3)),
    ],
)
def test_long_tail_from_openml(openml, tmp_path, name, openml_name, shape):
    X, y, X_test, y_test = *numbered(8, shape), *numbered(4, shape)
    X[:, 1, 5], X[:, -1, 0] = 70, 90  # no symmetry of the layout
    images = np.concatenate([X, X_test])
    rows = np.moveaxis(images, -1, 1) if name == "cifar10" else images
    digits = np.r_[y, y_test]
    labels = np.where(digits, digits, 10) if name == "svhn" else digits
    asked = openml(name, rows.reshape(120, -1), labels.astype(str).astype(object))
    data = fetch_long_tailed(name, counts=COUNTS, random_state=0, data_home=tmp_path)
    assert asked == {
        "name": openml_name,
        "version": 1,
        "data_home": tmp_path,
        "as_frame": False,
    }
    assert data.X_train.dtype == np.uint8
    assert_array_equal(np.bincount(data.y_train), COUNTS)
    assert_rows_of(X, y, data.X_train, data.y_train)
    assert_array_equal(data.X_test, X_test)
    assert_array_equal(data.y_test, y_test)


def test_openml_set_of_another_length(openml, tmp_path):
    openml("mnist", np.zeros((119, 784)), np.zeros(119, dtype=int).astype(str))
    with pytest.raises(ValueError, match="80 training and 40 test rows, got 119"):
        fetch_long_tailed("mnist", random_state=0, data_home=tmp_path)


def test_svhn_from_mat_files(tmp_path):
    X, y = numbered(8, (32, 32, 3))
    X[:, 1, 5, 2] = 70
    mat = {"X": np.moveaxis(X, 0, -1), "y": np.where(y, y, 10)[:, None]}
    savemat(tmp_path / "train_32x32.mat", mat)
    savemat(tmp_path / "test_32x32.mat", mat)
    data = fetch_long_tailed("svhn", counts=COUNTS, random_state=0, data_home=tmp_path)
    assert_array_equal(np.bincount(data.y_train), COUNTS)
    assert_rows_of(X, y, data.X_train, data.y_train)
    assert_array_equal(data.X_test, X)
    assert_array_equal(data.y_test, y)


@pytest.fixture
def Image():
    return pytest.importorskip("PIL.Image")


@pytest.fixture
def save(Image):
    """Save pixels as PNG, whatever the name, so that no value changes."""

    def save(path, pixels):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path, format="PNG")

    return save


def grey(value, height=8, width=8):
    return np.full((height, width), value)


COLOURS = ["Blond_Hair", "Black_Hair", "Bald", "Brown_Hair", "Gray_Hair"]


@pytest.fixture
def celeba(tmp_path, save):
    """Four faces of each colour, of grey 10 x colour + row, and two of no class."""
    attributes = ["Bald", "Smiling", *reversed(COLOURS)]
    faces = [({c}, 10 * k + i) for k, c in enumerate(COLOURS) for i in range(4)]
    faces += [({"Bald", "Gray_Hair"}, 200), ({"Smiling"}, 201)]
    lines = [str(len(faces)), " ".join(attributes)]
    for number, (has, value) in enumerate(faces):
        flags = " ".join(" 1" if a in has else "-1" for a in attributes)
        lines.append(f"{number:06}.jpg {flags}")
        save(tmp_path / "img_align_celeba" / f"{number:06}.jpg", grey(value, 21, 17))
    (tmp_path / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_celeba(celeba):
    counts = [3, 2, 1, 1, 1]
    data = load_celeba(celeba, counts=counts, n_test=1, random_state=0)
    assert data.target_names == ["blonde", "black", "bald", "brown", "gray"]
    assert data.X_train.shape == (8, 64, 64, 3)
    assert data.X_train.dtype == np.uint8
    assert_array_equal(data.y_train, np.repeat(range(5), counts))
    assert_array_equal(data.y_test, range(5))
    X = np.concatenate([data.X_train, data.X_test])
    values = X[:, 0, 0, 0].astype(int)
    assert_array_equal(X, np.broadcast_to(values[:, None, None, None], X.shape))
    assert_array_equal(values // 10, np.r_[data.y_train, data.y_test])
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("colour", ["blonde", "bald", "gray"])
def test_celeba_leaves_out_other_and_mixed_hair(celeba, colour):
    counts = [4 if name == colour else 1 for name in _folders.HAIR]
    with pytest.raises(ValueError, match=f"'{colour}' has 4 rows"):
        load_celeba(celeba, counts=counts, n_test=1, random_state=0)


def test_celeba_scales_the_whole_image(celeba, save):
    for path in (celeba / "img_align_celeba").iterdir():
        halves = np.zeros((218, 178, 3))
        halves[109:, :, 1] = 250
        save(path, halves)
    data = load_celeba(celeba, counts=1, n_test=1, random_state=0)
    assert (data.X_train[:, :30] == 0).all()
    assert (data.X_train[:, 34:] == [0, 250, 0]).all()


def test_only_drawn_images_are_read(celeba, Image, monkeypatch):
    opened = []
    read = Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path) or read(path))
    load_celeba(celeba, counts=1, n_test=2, random_state=0)
    assert len(opened) == len(set(opened)) == 15


def test_celeba_wants_its_attributes(celeba):
    listed = celeba / "list_attr_celeba.txt"
    listed.write_text(listed.read_text().replace("Gray_Hair", "Hat"))
    with pytest.raises(ValueError, match=r"no attributes \['Gray_Hair'\]"):
        load_celeba(celeba)


def test_published_sizes_of_faces_and_scenes():
    small = (15000, 1500, 750, 300, 150)
    assert {"small": small, "large": (28000, 4000, 3000, 1500, 750)} == _folders.CELEBA
    assert {"small": small, "large": (50000, 5000, 3000, 1500, 750)} == _folders.LSUN


@pytest.mark.parametrize("load", [load_celeba, load_lsun])
def test_published_sizes_are_asked_for(celeba, load):
    (celeba / "classroom").mkdir()
    with pytest.raises(ValueError, match=r"has [40] rows, but .* asked for 15100"):
        load(celeba, random_state=0)
    with pytest.raises(ValueError, match=r"asked for (28|50)100"):
        load(celeba, size="large", random_state=0)
    with pytest.raises(ValueError, match=r"size must be one of .*'medium'"):
        load(celeba, size="medium")


def framed(height, width, side):
    """White centre patch on black."""
    pixels = np.zeros((height, width))
    top, left = (height - side) // 2, (width - side) // 2
    pixels[top : top + side, left : left + side] = 255
    return pixels


def test_lsun_cuts_the_centre(tmp_path, save):
    for scene in _folders.SCENES:
        save(tmp_path / scene / "a" / "b" / "1.PNG", framed(260, 301, 224))
        save(tmp_path / scene / "2.webp", framed(100, 80, 80))
        (tmp_path / scene / "notes.txt").touch()
    data = load_lsun(tmp_path, counts=1, n_test=1, random_state=0)
    assert data.target_names[1] == "church_outdoor"
    assert_array_equal(data.y_train, range(5))
    assert data.X_train.shape == (5, 64, 64, 3)
    assert data.X_train.min() == data.X_test.min() == 255


def test_lsun_labels_follow_the_folders(tmp_path, save):
    for k, scene in enumerate(_folders.SCENES):
        for i in range(2 + k):
            save(tmp_path / scene / f"{i}.jpg", grey(10 * k + i))
    data = load_lsun(tmp_path, counts=[1, 2, 3, 4, 5], n_test=1, random_state=0)
    for X, y in (data.X_train, data.y_train), (data.X_test, data.y_test):
        assert_array_equal(X[:, 0, 0, 0] // 10, y)
    assert len(np.unique(np.r_[data.X_train, data.X_test], axis=0)) == 20


@pytest.fixture
def lsun(tmp_path, save):
    for scene in _folders.SCENES:
        for i in range(2):
            save(tmp_path / scene / f"{i}.png", grey(200))
    return tmp_path


def test_sixteen_bits_are_scaled_to_eight(lsun, Image):
    for path in lsun.rglob("*.png"):
        Image.fromarray(np.full((8, 8), 40000, dtype=np.uint16)).save(path)
    data = load_lsun(lsun, counts=1, n_test=1, random_state=0)
    assert set(np.unique(data.X_train)) == {40000 // 257}


def test_what_is_no_image_is_left_out_or_named(lsun):
    (lsun / "tower" / "._0.png").write_bytes(b"resource fork")
    (lsun / "tower" / "folder.png").mkdir()
    load_lsun(lsun, counts=1, n_test=1, random_state=0)
    (lsun / "tower" / "0.png").write_bytes(b"nothing")
    with pytest.raises(OSError, match=r"tower.0\.png is no image that can be read"):
        load_lsun(lsun, counts=1, n_test=1, random_state=0)


def test_size_is_checked_where_counts_are_given(lsun):
    with pytest.raises(ValueError, match=r"size must be one of .*'huge'"):
        load_lsun(lsun, size="huge", counts=1, n_test=1)


@pytest.mark.parametrize(
    ("height", "width", "side"), [(601, 512, 512), (511, 700, 224), (223, 300, 223)]
)
def test_sun397_cuts_the_largest_patch_that_fits(tmp_path, save, height, width, side):
    for name, image_side in ("a", side), ("b", side - 2):
        for i in range(2):
            save(tmp_path / name / f"{i}.jpg", framed(height, width, image_side))
    data = load_sun397(tmp_path, counts=[1, 1], n_test=1, random_state=0)
    assert data.X_train[0].min() == 255
    assert data.X_train[1].min() < 255


@pytest.fixture
def sun397(tmp_path, save):
    """Six classes of 3 to 8 images; the grey is 10 x class + row."""
    names = ["a/abbey", "a/apartment/outdoor", "b/bar", "b/bath", "c/cafe", "c/cave"]
    for k, name in enumerate(names):
        for i in range(3 + k):
            save(tmp_path / name / f"{i}.jpg", grey(10 * k + i))
    (tmp_path / "ClassName.txt").touch()
    return tmp_path, names


def test_sun397_trains_on_all_but_the_test_rows(sun397, monkeypatch):
    root, names = sun397
    monkeypatch.setattr(_folders, "SUN397_CLASSES", 4)
    data = load_sun397(root, n_test=2, random_state=0)
    classes = [names.index(name) for name in data.target_names]
    assert classes == sorted(set(classes))
    assert_array_equal(np.bincount(data.y_train), [1 + k for k in classes])
    assert_array_equal(np.bincount(data.y_test), [2] * 4)
    values = np.r_[data.X_train, data.X_test][:, 0, 0, 0]
    assert_array_equal(values // 10, np.take(classes, np.r_[data.y_train, data.y_test]))
    assert len(set(values)) == len(values)


def test_sun397_draws_its_classes(sun397):
    root, _ = sun397
    drawn = {
        tuple(load_sun397(root, counts=[1, 1], n_test=1, random_state=s).target_names)
        for s in (0, 0, 1, 2, 3, 4)
    }
    assert 1 < len(drawn) <= 5
    assert all(len(names) == 2 for names in drawn)


def test_sun397_too_few_classes_or_rows(sun397):
    root, _ = sun397
    with pytest.raises(ValueError, match=r"50 classes .* has 6 folders"):
        load_sun397(root, random_state=0)
    with pytest.raises(ValueError, match=r"'a/abbey' has 3 rows, but .* 21"):
        load_sun397(root, counts=[1] * 6, random_state=0)


def test_sun397_class_with_nothing_left(sun397, monkeypatch):
    monkeypatch.setattr(_folders, "SUN397_CLASSES", 6)
    with pytest.raises(ValueError, match=r"'a/abbey' has 3 rows, but .* asked for 4"):
        load_sun397(sun397[0], n_test=3, random_state=0)


def test_missing_pillow_is_explained(celeba, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install \"gamo_sampler\[images\]\""):
        load_celeba(celeba, counts=1, n_test=1, random_state=0)


@pytest.mark.parametrize("name", ["_draw", "_folders", "_long_tailed"])
def test_doctests(name):
    module = importlib.import_module(f"gamo_sampler.datasets.{name}")
    assert doctest.testmod(module).failed == 0
