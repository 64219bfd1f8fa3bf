"""Every argument that cannot be used is named, with its value and what to do instead."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from lowdim import SubspaceMixture

X = np.random.default_rng(0).normal(size=(30, 4))
ZERO = np.zeros(4)
BALL = {"mean": ZERO, "noise_variance": 1.0}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_components": 0}, ValueError, r"n_components=0 .*>= 1"),
        ({"n_components": 2.0}, TypeError, r"n_components=2.0 is a float; pass an integer"),
        ({"n_components": True}, TypeError, r"n_components=True is a bool"),
        ({"dims": -1}, ValueError, r"dims=-1 .*>= 0"),
        ({"dims": [1, -2]}, ValueError, r"dims=-2 .*>= 0"),
        ({"dims": 5}, ValueError, r"dims=5 asks for 5 dimensions, but X has 4 columns.*0 and 4"),
        ({"dims": [1, 9]}, ValueError, r"dims=\[1, 9\] asks for 9 dimensions"),
        ({"dims": []}, ValueError, r"dims=\[\] has no components"),
        ({"dims": 1.5}, TypeError, r"dims=1.5 is a float"),
        ({"dims": [1.5]}, TypeError, r"dims=1.5 is a float"),
        ({"dims": None}, TypeError, r"dims=None"),
        ({"dims": "automatic"}, ValueError, r"dims='automatic' must be .*'auto'"),
        ({"n_components": 3, "dims": [1, 2]}, ValueError, r"n_components=3 contradicts dims"),
        ({"assignment": "sof"}, ValueError, r"assignment='sof' .*'soft', 'hard', 'closest'"),
        ({"assignment": None}, ValueError, r"assignment=None .*'soft'"),
        ({"n_init": 0}, ValueError, r"n_init=0 .*>= 1"),
        ({"max_iter": 0}, ValueError, r"max_iter=0 .*>= 1"),
        ({"max_iter": 10.0}, TypeError, r"max_iter=10.0 is a float"),
        ({"tol": -1e-3}, ValueError, r"tol=-0.001 is out of range; pass a number in \[0"),
        ({"tol": np.nan}, ValueError, r"tol=nan"),
        ({"tol": "small"}, TypeError, r"tol='small' is a str"),
        ({"reg_covar": 0.0}, ValueError, r"reg_covar=0.0 is out of range"),
        ({"reg_covar": -1.0}, ValueError, r"reg_covar=-1.0"),
        ({"reg_covar": 1.0}, ValueError, r"reg_covar=1.0"),
        ({"batch_size": 0}, ValueError, r"batch_size=0 .*>= 1"),
        ({"batch_size": 2.5}, TypeError, r"batch_size=2.5"),
        ({"minibatch_size": 0}, ValueError, r"minibatch_size=0 .*>= 1"),
        ({"minibatch_size": 0.1}, TypeError, r"minibatch_size=0.1"),
        ({"minibatch_size": 6, "dims": [2, 1]}, ValueError, r"minibatch_size=6 .*at least 7"),
        ({"minibatch_size": 20, "dims": "auto"}, ValueError, r"minibatch_size .*dims='auto'"),
        ({"n_jobs": 0}, ValueError, r"n_jobs=0 .*>= 1"),
        ({"n_jobs": 1.0}, TypeError, r"n_jobs=1.0"),
        ({"n_jobs": "all"}, TypeError, r"n_jobs='all'"),
        ({"annealing": 0.1}, ValueError, r"annealing=0.1 is not a pair"),
        ({"annealing": (0.1,)}, ValueError, r"annealing=\(0.1,\) is not a pair"),
        ({"annealing": (0.0, 1.1)}, ValueError, r"annealing\[0\] \(beta_0\)=0.0"),
        ({"annealing": (1.5, 1.1)}, ValueError, r"annealing\[0\] \(beta_0\)=1.5"),
        ({"annealing": (0.1, 1.0)}, ValueError, r"annealing\[1\] \(rate\)=1.0"),
        ({"annealing": (0.1, 1.1), "dims": "auto"}, ValueError, r"annealing .*dims='auto'"),
        ({"assignment": "hard", "dims": "auto"}, ValueError, r"assignment='hard'"),
        ({"device": "tpu"}, ValueError, r"tpu"),
        ({"dtype": "int32"}, (ValueError, TypeError), r"int32"),
        ({"random_state": -1}, ValueError, r"random_state=-1 is negative"),
        ({"random_state": "seed"}, TypeError, r"random_state must be"),
        ({"init": "k-means"}, ValueError, r"init='k-means' .*'kmeans'"),
        ({"init": np.zeros(29, int)}, ValueError, r"init must be one of .*shape \(29,\)"),
        ({"init": np.zeros(30), "dims": [1, 1]}, ValueError, r"init .*integer labels"),
        ({"init": np.zeros(30, int), "dims": [1, 1]}, ValueError, r"every one of 0..1"),
        ({"init": np.arange(30) % 3, "dims": [1, 1]}, ValueError, r"every one of 0..1"),
        ({"init": np.arange(30) % 2 - 1, "dims": [1, 1]}, ValueError, r"every one of 0..1"),
        ({"init": np.zeros((30, 2)), "dims": [1, 1]}, ValueError, r"positive row sums"),
        ({"init": -np.ones((30, 2)), "dims": [1, 1]}, ValueError, r"nonnegative"),
        ({"init": np.full((30, 2), np.nan), "dims": [1, 1]}, ValueError, r"init as resp"),
        ({"init": np.ones((30, 3)), "dims": [1, 1]}, ValueError, r"shape \(30, 3\)"),
        (
            {"init": [BALL], "dims": [1]},
            ValueError,
            r"init has .* dimensions \[0\], but dims=\[1\]",
        ),
        ({"init": [BALL, BALL], "dims": 0}, ValueError, r"dimensions \[0, 0\], but dims=\[0\]"),
        ({"init": [BALL, 3], "dims": [0, 0]}, TypeError, r"entry of init must be a dict, got int"),
        ({"init": [{"mean": ZERO}], "dims": 0}, ValueError, r"init needs 'noise_variance'"),
        ({"init": [{**BALL, "mean": [0.0]}], "dims": 0}, ValueError, r"init\['mean'\] has shape"),
        ({"init": [{**BALL, "weight": 0.0}], "dims": 0}, ValueError, r"init\['weight'\] must be"),
        ({"init": [{**BALL, "size": 1}], "dims": 0}, ValueError, r"unknown key\(s\) \['size'\]"),
        ({"fixed": 3}, TypeError, r"fixed must be None, a dict or a list of dicts, got int"),
        ({"fixed": [3]}, TypeError, r"entry of fixed must be a dict, got int"),
        ({"fixed": {}}, ValueError, r"fixed needs the key 'mean'"),
        ({"fixed": {"mean": ZERO, "centre": 1}}, ValueError, r"unknown key\(s\) \['centre'\]"),
        ({"fixed": {"mean": np.zeros(3)}}, ValueError, r"fixed\['mean'\] has shape \(3,\).*\(4,\)"),
        ({"fixed": {"mean": ZERO * np.nan}}, ValueError, r"fixed\['mean'\] contains NaN"),
        ({"fixed": {"mean": ZERO, "basis": np.eye(3)}}, ValueError, r"fixed\['basis'\] has shape"),
        ({"fixed": {"mean": ZERO, "basis": np.ones((2, 4))}}, ValueError, r"dependent rows"),
        ({"fixed": {"mean": ZERO, "basis": np.zeros((1, 4))}}, ValueError, r"dependent rows"),
        ({"fixed": {"mean": ZERO, "noise_variance": 1.0}}, ValueError, r"'noise_variance'"),
        (
            {"fixed": {"mean": ZERO, "basis": np.eye(4)[:1], "latent_variances": [0.0]}},
            ValueError,
            r"fixed\['latent_variances'\] must be positive, got 0",
        ),
        (
            {"fixed": {"mean": ZERO, "basis": np.eye(4)[:1], "latent_variances": [1.0, 2.0]}},
            ValueError,
            r"fixed\['latent_variances'\] has shape \(2,\), expected \(1,\)",
        ),
        (
            {
                "fixed": {
                    "mean": ZERO,
                    "basis": [[1.0, 0, 0, 0], [1, 1, 0, 0]],
                    "latent_variances": [2.0, 1.0],
                }
            },
            ValueError,
            r"must be orthogonal where latent_variances are given",
        ),
        ({"background": "normal"}, ValueError, r"background='normal' is not known.*'uniform'"),
        ({"background": {"mean": ZERO}}, ValueError, r"background needs 'noise_variance'"),
        (
            {"background": {"mean": ZERO, "noise_variance": -1.0}},
            ValueError,
            r"background\['noise_variance'\] must be positive, got -1",
        ),
        (
            {"background": {"mean": ZERO, "basis": np.eye(4)[:1], "noise_variance": 1.0}},
            ValueError,
            r"with a 'basis', 'latent_variances'",
        ),
        ({"background": "uniform", "assignment": "closest"}, ValueError, r"uniform background"),
        ({"n_components": 30}, ValueError, r"X has 30 sample\(s\), but 30 component"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_arguments_are_checked(
    arguments: dict, error: type[Exception] | tuple[type[Exception], ...], message: str
) -> None:
    model = SubspaceMixture(**arguments)
    with pytest.raises(error, match=message):
        model.fit(X)
    assert not hasattr(model, "weights_")  # nothing was computed


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (X[:1], ValueError, r"1 sample"),
        (X[:0], ValueError, r"0 sample\(s\)"),
        (X[:, :0], ValueError, r"0 feature\(s\)"),
        (X[0], ValueError, r"Expected 2D array, got 1D"),
        (np.where(X > 2, np.nan, X), ValueError, r"NaN"),
        (np.where(X > 2, np.inf, X), ValueError, r"[Ii]nfinit"),
        (sp.csr_matrix(np.where(X > 2, np.nan, X)), ValueError, r"NaN"),
        (X + 1j, ValueError, r"[Cc]omplex"),
        (X.astype(str), ValueError, r"not compatible with arrays of bytes/strings"),
        (None, TypeError, r"X is None"),
        ({"a": X}, TypeError, r"X is a dict"),
        ("nowhere.h5ad", FileNotFoundError, r"nowhere\.h5ad"),
    ],
    ids=[
        "one row",
        "no rows",
        "no columns",
        "1-D",
        "nan",
        "inf",
        "sparse nan",
        "complex",
        "text",
        "None",
        "dict",
        "path",
    ],
)
def test_rows_are_checked(rows: object, error: type[Exception], message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(error, match=message):
            SubspaceMixture().fit(rows)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(29), r"sample_weight has shape \(29,\), expected \(30,\)"),
        (np.ones((30, 1)), r"sample_weight has shape \(30, 1\)"),
        (-np.ones(30), r"sample_weight .*negative"),
        (np.full(30, np.nan), r"sample_weight .*NaN"),
        (np.zeros(30), r"sample_weight is all zero"),
    ],
)
def test_weights_are_checked(weight: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SubspaceMixture().fit(X, sample_weight=weight)
    with pytest.raises(ValueError, match=message):
        SubspaceMixture().partial_fit(X, sample_weight=weight)


@pytest.mark.parametrize(
    "call",
    ["predict", "predict_proba", "score_samples", "score", "transform", "reconstruct", "bic"],
)
def test_new_rows_are_checked(call: str) -> None:
    model = SubspaceMixture()
    with pytest.raises(NotFittedError):
        getattr(model, call)(X)
    model.set_params(random_state=0).fit(X)
    with pytest.raises(ValueError, match="X has 3 features, but SubspaceMixture is expecting 4"):
        getattr(model, call)(X[:, :3])
    with pytest.raises(ValueError, match="NaN"):
        getattr(model, call)(np.where(X > 2, np.nan, X))


@pytest.mark.parametrize("call", ["sample", "n_parameters"])
def test_an_unfitted_model_says_so(call: str) -> None:
    with pytest.raises(NotFittedError):
        getattr(SubspaceMixture(), call)()


def test_a_failed_refit_leaves_the_model_as_it_was() -> None:
    model = SubspaceMixture(random_state=0).fit(X)
    before = model.score(X)
    with pytest.raises(ValueError, match="max_iter=0"):
        model.set_params(max_iter=0).fit(X)
    assert model.score(X) == before


@pytest.mark.parametrize("missing", [0, 1])
def test_a_uniform_background_needs_columns_that_vary(missing: int) -> None:
    rows = X.copy()
    rows[:, missing] = 3
    with pytest.raises(ValueError, match=f"column {missing} is constant; drop"):
        SubspaceMixture(background="uniform").fit(rows)


def test_an_anndata_is_read_by_its_x() -> None:
    adata = ad.AnnData(X.astype(np.float32))
    model = SubspaceMixture(n_init=1, random_state=0).fit(adata)
    assert model.feature_names_in_.tolist() == ["0", "1", "2", "3"]
    assert model.predict(adata).shape == (30,)
