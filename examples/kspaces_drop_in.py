"""What the tutorial of the kspaces package does, with only the import changed.

Run: python examples/kspaces_drop_in.py FOLDER   # writes two PNGs and a CSV file into the folder
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import lowdim.kspaces as kspaces  # was: import kspaces

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
folder.mkdir(parents=True, exist_ok=True)
np.random.seed(0)

# A plane, two lines and a blob in three columns ---------------------------------------------------
draw = kspaces.generate_.generate_points_subspace
parts = {
    "plane": draw([2, 2, 0], [[1, 0, 0], [0, 1, 0.3]], 4000, dist_std=4, noise_std=0.1),
    "thin line": draw([0, 6, 6], [[1, 1, 1]], 200, dist_std=6, noise_std=0.1),
    "blob": draw([7, -8, 9], [], 100, dist_std=3, noise_std=2),
    "thick line": draw([0, 6, 3], [[-1, 1, 3]], 300, dist_std=5, noise_std=1),
}
points = np.concatenate(list(parts.values()))
origin = np.repeat(list(parts), [len(rows) for rows in parts.values()])

spaces, probabilities = kspaces.run_EM(
    points, [2, 1, 1, 0], assignment="hard", randomize_init=True, silent=True
)
owners = probabilities.argmax(1)
names = []
for k, space in enumerate(spaces):
    kinds, counts = np.unique(origin[owners == k], return_counts=True)
    names.append(kinds[counts.argmax()])
    owned = ", ".join(f"{n} of the {kind}" for kind, n in zip(kinds, counts, strict=True))
    print(f"space {k}, d = {space.d}, sigma {space.sigma:.2f}: {owned}")

likelihood = kspaces.total_log_likelihood(points, spaces)
soft = kspaces.E_step(points, spaces, assignment="soft")
for legacy in (True, False):
    df = kspaces.get_df(spaces, eq_noise=False, legacy=legacy)
    bic = kspaces.get_BIC(df, len(points), likelihood)
    icl = kspaces.get_ICL(soft, points, spaces, eq_noise=False, legacy=legacy)
    defined = "as kspaces defines them" if legacy else "with weights and the whole entropy"
    print(f"BIC {bic:.2f}, ICL {icl:.2f}, {defined}")

# How many components? -----------------------------------------------------------------------------
for kd in ([2, 1, 1, 1], [1, 1, 0, 0, 0]):
    other, _ = kspaces.run_EM(points, kd, assignment="hard", silent=True)
    print(f"{[2, 1, 1, 0]} against {kd}:", end=" ")
    kspaces.model_selection(points, spaces, other, test="BIC")

shared_mean = [
    kspaces.affine_subspace([], [0, 0], 1.0, [], 0.5),
    kspaces.affine_subspace([], [0, 0], 2.0, [], 0.5),
]
overlaid = kspaces.generate(shared_mean, size=10_000, seed=0)
two, _ = kspaces.run_EM(overlaid, [0, 0], silent=True)
one, _ = kspaces.run_EM(overlaid, [0], silent=True)
for test in ("BIC", "ICL"):
    print("two overlaid components against one:", end=" ")
    kspaces.model_selection(overlaid, two, one, test=test)

# Figures ------------------------------------------------------------------------------------------
light = dict(zip(parts, ["silver", "deepskyblue", "orange", "limegreen"], strict=True))
dark = dict(zip(parts, ["black", "navy", "saddlebrown", "darkgreen"], strict=True))
kspaces.view_3D_pca_mpl(
    points,
    subtypes=origin.tolist(),
    color_dict=light,
    spaces=spaces,
    space_colors=[dark[name] for name in names],
    s_points=5,
    elevation=[15],
    azimuth=[-70, 20],
    title="Where the points come from, and the spaces that were found",
    save=folder / "kspaces_pca.png",
    show=False,
)

figure = plt.figure(figsize=(6, 5.5), layout="constrained")
ax = figure.add_subplot(projection="3d", elev=15, azim=-75)
limits = [(low, high) for low, high in zip(points.min(0), points.max(0), strict=True)]
palette = np.array([light[name] for name in names])
ax.scatter(*points.T, s=4, c=kspaces.color_by_cluster(probabilities, palette), linewidths=0)
for space, name in zip(spaces, names, strict=True):
    if space.d == 0:
        kspaces.plot_point_3D(ax, *limits, space, color=dark[name])
    elif space.d == 1:
        kspaces.plot_line_3D(ax, *limits, space, color=dark[name], sd_length=2)
    else:
        kspaces.plot_plane(ax, *limits, space, color=dark[name])
ax.set(xlabel="x", ylabel="y", zlabel="z", aspect="equal")
figure.savefig(folder / "kspaces_own_axes.png", dpi=120)

# Files --------------------------------------------------------------------------------------------
kspaces.write_spaces(spaces, folder / "spaces.csv")
again = kspaces.read_spaces(folder / "spaces.csv")
same = np.array_equal(again[0].vectors, spaces[0].vectors)
print("read back from spaces.csv:", len(again), "spaces,", "the same" if same else "others")
