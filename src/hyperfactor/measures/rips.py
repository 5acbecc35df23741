"""The child process of `topology.persistence`: distances in, persistence diagrams out.

    python -m hyperfactor.measures.rips MAX_DIM FIELD BYTES < distances.npz > diagrams.npz

It may take BYTES of memory beyond what it starts with (where the system can limit this: not on
macOS or Windows), so that a hopeless request ends this process and not the user's.
"""

import io
import sys
from collections.abc import Mapping

import numpy as np


def diagrams(distances: Mapping[str, np.ndarray], max_dim: int, field: int) -> dict[str, np.ndarray]:
    """The persistence diagrams of clouds of points.

    Parameters
    ----------
    distances
        Of each cloud, by name, the distances of its points from each other, shape (n, n).
    max_dim
        The highest dimension of homology.
    field
        A prime: the number of elements of the field of coefficients.

    Returns
    -------
    dict
        Under `<name>.<dimension>` the births and deaths, shape (bars, 2).
    """
    from gudhi.sklearn.rips_persistence import RipsPersistence

    rips = RipsPersistence(
        list(range(max_dim + 1)), input_type="full distance matrix", homology_coeff_field=field, n_jobs=1
    )
    found = rips.fit_transform(list(distances.values()))
    return {
        f"{name}.{dim}": np.asarray(diagram, dtype=np.float64).reshape(-1, 2)
        for name, of_name in zip(distances, found, strict=True)
        for dim, diagram in enumerate(of_name)
    }


def main(max_dim: int, field: int, most: int) -> None:
    import gudhi.sklearn.rips_persistence  # noqa: F401  the memory of the library itself is not limited

    with np.load(io.BytesIO(sys.stdin.buffer.read())) as file:
        distances = {name: file[name] for name in file.files}
    _limit_memory(most)
    np.savez(sys.stdout.buffer, **diagrams(distances, max_dim, field))  # pyright: ignore[reportArgumentType]


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
