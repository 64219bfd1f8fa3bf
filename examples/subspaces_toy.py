"""Find a plane, two lines and a blob among 4,600 points, and draw them: NumPy in, NumPy out.

Run: python examples/subspaces_toy.py            # writes subspaces_toy.png
"""

import numpy as np

import lowdim as ld

toy = ld.data.toy(random_state=0)  # points in 3-D, and the mixture they were drawn from
X = np.asarray(toy.X)

model = ld.SubspaceMixture(dims=[2, 1, 1, 0], random_state=0).fit(X)

print("mean log-likelihood per point:", round(model.score(X), 4))
for k, (d, weight, noise) in enumerate(
    zip(model.dims_, model.weights_, model.noise_variances_, strict=True)
):
    print(f"component {k}: dimension {d}, weight {weight:.3f}, noise variance {noise:.3f}")
print("coordinates in each point's own subspace:", model.transform(X).shape)

ax = ld.pl.subspaces(model, X, n_dims=3)
ax.figure.savefig("subspaces_toy.png", dpi=120, bbox_inches="tight")
