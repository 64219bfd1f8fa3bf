"""The functions and classes of the kspaces package, under their own names, on lowdim's engine.

Change ``import kspaces`` to ``import lowdim.kspaces as kspaces``, or ``from kspaces import *`` to
``from lowdim.kspaces import *``; names, arguments and defaults are those of kspaces 0.1.5. What a
function computes differs where kspaces was wrong; its documentation says so. Where that changes
numbers which users have published, ``legacy=True`` restores the old definition.

Names load on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowdim.kspaces import EM, affine_subspace_, generate_, model_selection_, plotting
    from lowdim.kspaces.affine_subspace_ import (
        affine_subspace,
        bg_space,
        ensure_vector_directions,
        fixed_space,
        read_spaces,
        write_spaces,
    )
    from lowdim.kspaces.EM import E_step, fit_single_space, run_EM, run_EM_parallelized
    from lowdim.kspaces.generate_ import generate, generate_points_subspace
    from lowdim.kspaces.model_selection_ import (
        get_BIC,
        get_df,
        get_entropy,
        get_ICL,
        model_selection,
        total_log_likelihood,
    )
    from lowdim.kspaces.plotting import (
        color_by_cluster,
        plot_line_3D,
        plot_plane,
        plot_point_3D,
        project_space,
        view_3D_pca_mpl,
        view_3D_pretransformed_mpl,
    )

__all__ = [
    "EM",
    "E_step",
    "affine_subspace",
    "affine_subspace_",
    "bg_space",
    "color_by_cluster",
    "ensure_vector_directions",
    "fit_single_space",
    "fixed_space",
    "generate",
    "generate_",
    "generate_points_subspace",
    "get_BIC",
    "get_ICL",
    "get_df",
    "get_entropy",
    "model_selection",
    "model_selection_",
    "plot_line_3D",
    "plot_plane",
    "plot_point_3D",
    "plotting",
    "project_space",
    "read_spaces",
    "run_EM",
    "run_EM_parallelized",
    "total_log_likelihood",
    "view_3D_pca_mpl",
    "view_3D_pretransformed_mpl",
    "write_spaces",
]

_HOMES = {
    "EM": ("E_step", "fit_single_space", "run_EM", "run_EM_parallelized"),
    "affine_subspace_": (
        "affine_subspace",
        "bg_space",
        "ensure_vector_directions",
        "fixed_space",
        "read_spaces",
        "write_spaces",
    ),
    "generate_": ("generate", "generate_points_subspace"),
    "model_selection_": (
        "get_BIC",
        "get_ICL",
        "get_df",
        "get_entropy",
        "model_selection",
        "total_log_likelihood",
    ),
    "plotting": (
        "color_by_cluster",
        "plot_line_3D",
        "plot_plane",
        "plot_point_3D",
        "project_space",
        "view_3D_pca_mpl",
        "view_3D_pretransformed_mpl",
    ),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a module or a public name the first time it is asked for, and keep it."""
    if name in _HOMES:
        value: object = import_module(f"lowdim.kspaces.{name}")
    elif name in _MODULE_OF:
        value = getattr(import_module(f"lowdim.kspaces.{_MODULE_OF[name]}"), name)
    elif name == "__version__":
        from lowdim import __version__ as value
    else:
        raise AttributeError(f"module 'lowdim.kspaces' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
