"""The child process of `topology.persistence`: distances in, persistence diagrams out.

    python -m hyperfactor.measures.rips MAX_DIM BYTES FIELD... < distances.npz > diagrams.npz

BYTES is the memory that the process may take beyond what it starts with. A request that takes more ends this process
and not the user's. The limit holds where the system allows one, not on macOS or Windows.
"""

import io
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def diagrams(distances: Mapping[str, np.ndarray], max_dim: int, fields: Sequence[int]) -> dict[str, np.ndarray]:
    """Compute the persistence diagrams of clouds of points.

    The first field is taken for all clouds, the others only for those whose name ends in "points".

    Parameters
    ----------
    distances : mapping of str to (n, n)
        For each cloud, by name, the distances between its points.
    max_dim : int
        Highest dimension of homology.
    fields : sequence of int
        Primes: the number of elements of each field of coefficients.

    Returns
    -------
    dict of str to (bars, 2)
        Births and deaths, under `<name>.<field>.<dimension>`.
    """
    from gudhi.sklearn.rips_persistence import RipsPersistence

    # The collapse serves all fields. H1 alone takes longer with it than without.
    kind, clouds = "full distance matrix", dict(distances)
    if max_dim > 1:
        kind, clouds = "distance coo_matrix", {name: _collapsed(of_cloud) for name, of_cloud in distances.items()}
    result = {}
    for k, field in enumerate(fields):
        rips = RipsPersistence(
            list(range(max_dim + 1)), input_type=kind, num_collapses=0, homology_coeff_field=field, n_jobs=1
        )
        names = [name for name in clouds if k == 0 or name.endswith("points")]
        found = rips.fit_transform([clouds[name] for name in names])
        result |= {
            f"{name}.{field}.{dim}": np.asarray(diagram, dtype=np.float64).reshape(-1, 2)
            for name, of_name in zip(names, found, strict=True)
            for dim, diagram in enumerate(of_name)
        }
    return result


def _collapsed(distances: np.ndarray) -> Any:
    """Return the edges of a cloud that matter to its homology, as a sparse matrix of lengths.

    Left out are edges longer than the scale at which the complex becomes a cone, and those that edge collapse drops
    (Boissonnat and Pritam, SoCG 2020).
    """
    from gudhi.flag_filtration.edge_collapse import reduce_graph
    from scipy.sparse import coo_matrix

    rows, columns = np.nonzero(np.tril(distances <= distances.max(axis=1).min(), -1))
    return reduce_graph(coo_matrix((distances[rows, columns], (rows, columns)), shape=distances.shape), 1)


def main(max_dim: int, most: int, *fields: int) -> None:
    """Read distances from standard input, and write their persistence diagrams to standard output."""
    import gudhi.flag_filtration.edge_collapse  # the limit does not count the libraries themselves
    import gudhi.sklearn.rips_persistence  # noqa: F401

    with np.load(io.BytesIO(sys.stdin.buffer.read())) as file:
        distances = {name: file[name] for name in file.files}
    _limit_memory(most)
    np.savez(sys.stdout.buffer, **diagrams(distances, max_dim, fields))  # pyright: ignore[reportArgumentType]


def _limit_memory(most: int) -> None:
    try:
        import resource

        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + most, now + most))
    except (ImportError, OSError, ValueError):
        return


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
