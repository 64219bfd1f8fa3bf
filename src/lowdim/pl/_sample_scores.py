"""How well labels of samples are predicted, beside what chance gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim import get
from lowdim._validation import check_in
from lowdim.get._sample_validation import permutation_tests
from lowdim.pl._colors import INK, PALETTE
from lowdim.pl._figure import one_axes
from lowdim.pl._fitted import is_anndata

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SCORES = ("accuracy", "balanced_accuracy")
_GREY = "0.75"


def sample_scores(
    validation: Any,
    permutation: Any = None,
    *,
    key: str = "sample_validation",
    score: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the scores of a cross-validation, and those of shuffled labels.

    Parameters
    ----------
    validation
        An AnnData after `lowdim.tl.sample_validation`; or what
        `lowdim.samples.cross_validate_samples` returned, or a dict of several by name, a line
        each. Dots are the scores of folds, the bar is that of all predictions, averaged over
        repeats.
    permutation
        What `lowdim.samples.permutation_test` returned, or a dict of several under the same names;
        by default what an AnnData has. Scores of shuffled labels are grey bars, as long as they
        are frequent.
    key
        With an AnnData: the `key_added` of the validation.
    score
        "accuracy" or "balanced_accuracy"; by default what the cross-validation was scored by.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    The Axes.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used.
    """
    if is_anndata(validation):
        permutation = permutation or permutation_tests(validation, key)
        validation = get.sample_validation(validation, key)
    several = dict(validation) if isinstance(validation, dict) else {"": validation}
    tests = permutation if isinstance(permutation, dict) else {"": permutation}
    if not several or not all(hasattr(one, "by_repeat") for one in several.values()):
        raise TypeError("validation must be what cross_validate_samples returned, or a dict of it.")
    strange = [name for name, test in tests.items() if test is not None and name not in several]
    if strange:
        raise ValueError(f"permutation has {strange[0]!r}, which validation does not.")
    score = check_in(next(iter(several.values())).scoring if score is None else score,
                     "score", _SCORES)  # fmt: skip
    letters = max(map(len, several))
    ax = one_axes(ax, figsize=(5.4 + 0.07 * letters, 1.5 + 0.55 * len(several)))
    for line, (name, found) in enumerate(several.items()):
        _draw_line(ax, line, found, tests.get(name), score)
    ax.set_yticks(range(len(several)), list(several))
    ax.set_ylim(len(several) - 0.5, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(score.replace("_", " "))
    ax.set_xlim(-0.03, 1.03)
    ax.spines[["top", "right", "left"]].set_visible(False)
    handles, labels = ax.get_legend_handles_labels()
    first = dict(zip(reversed(labels), reversed(handles), strict=True))
    ax.legend(
        first.values(), first.keys(), fontsize="small", frameon=False, loc="lower left",
        bbox_to_anchor=(0.0, 1.0), ncols=len(first), borderaxespad=0.0,
    )  # fmt: skip
    return ax


def _draw_line(ax: Axes, line: int, found: Any, test: Any, score: str) -> None:
    """Folds and the score of one cross-validation, over its null distribution."""
    if test is not None:
        null = np.asarray(test.null_scores, dtype=np.float64)
        kinds, counts = np.unique(np.round(null, 3), return_counts=True)
        ax.bar(
            kinds, 0.7 * counts / counts.max(), 0.012, bottom=line - 0.35 * counts / counts.max(),
            color=_GREY, label=f"labels shuffled ({len(null)} times)", zorder=1,
        )  # fmt: skip
    folds = found.table[score].to_numpy(dtype=np.float64)
    # A fixed order beside each other: equal scores are seen as several.
    offset = 0.22 * (np.arange(len(folds)) / max(len(folds) - 1, 1) - 0.5)
    ax.scatter(
        folds, line + offset, s=16, color=PALETTE[0], alpha=0.7, linewidths=0, label="fold",
        zorder=3, clip_on=False,
    )  # fmt: skip
    total = float(found.by_repeat[score].mean())
    ax.plot(
        [total, total], [line - 0.4, line + 0.4], color=PALETTE[1], linewidth=2.5,
        label="all predictions", zorder=2,
    )  # fmt: skip
    words = f"{total:.2f}" + ("" if test is None else f", p = {test.p_value:.2g}")
    ax.annotate(
        words, (total, line - 0.4), xytext=(3, -2), textcoords="offset points", fontsize="small",
        color=INK, va="bottom", ha="left" if total < 0.8 else "right",
    )  # fmt: skip
