"""The child process of `topology.persistence`: distances in, persistence diagrams out.

    python -m hyperfactor.measures.rips MAX_DIM BYTES FIELD... < distances.npz > diagrams.npz

It may take BYTES of memory beyond what it starts with (where the system can limit this: not on
macOS or Windows), so that a hopeless request ends this process and not the user's.
"""

import io
import sys
from collections.abc import Mapping, Sequence

import numpy as np


def diagrams(distances: Mapping[str, np.ndarray], max_dim: int, fields: Sequence[int]) -> dict[str, np.ndarray]:
    """The persistence diagrams of clouds of points: of all over the first field, of the first over the others too.

    Parameters
    ----------
    distances
        For each cloud, by name, the distances of its points from each other, shape (n, n).
    max_dim
        The highest dimension of homology.
    fields
        Primes: the number of elements of each field of coefficients.

    Returns
    -------
    dict
        Under `<name>.<field>.<dimension>` the births and deaths, shape (bars, 2).
    """
    from gudhi.sklearn.rips_persistence import RipsPersistence

    result = {}
    for k, field in enumerate(fields):
        rips = RipsPersistence(
            list(range(max_dim + 1)), input_type="full distance matrix", homology_coeff_field=field, n_jobs=1
        )
        names = list(distances)[: None if k == 0 else 1]
        found = rips.fit_transform([distances[name] for name in names])
        result |= {
            f"{name}.{field}.{dim}": np.asarray(diagram, dtype=np.float64).reshape(-1, 2)
            for name, of_name in zip(names, found, strict=True)
            for dim, diagram in enumerate(of_name)
        }
    return result


def main(max_dim: int, most: int, *fields: int) -> None:
    import gudhi.sklearn.rips_persistence  # noqa: F401  the memory of the library itself is not limited

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
