"""The child process of `topology.persistence`: distances in, persistence diagrams out.

    python -m hyperfactor.measures.rips MAX_DIM FIELD BYTES < distances.npz > diagrams.npz

It may take BYTES of memory beyond what it starts with (where the system can limit this: not on
macOS or Windows), so that a hopeless request ends this process and not the user's.
"""

import io
import sys

import numpy as np


def main(max_dim: int, field: int, most: int) -> None:
    from gudhi.sklearn.rips_persistence import RipsPersistence

    distances = np.load(io.BytesIO(sys.stdin.buffer.read()))
    _limit_memory(most)
    rips = RipsPersistence(
        list(range(max_dim + 1)), input_type="full distance matrix", homology_coeff_field=field, n_jobs=1
    )
    diagrams = rips.fit_transform([distances[name] for name in distances.files])
    named = {
        f"{name}.{dim}": np.asarray(diagram, dtype=np.float64).reshape(-1, 2)
        for name, of_name in zip(distances.files, diagrams, strict=True)
        for dim, diagram in enumerate(of_name)
    }
    np.savez(sys.stdout.buffer, **named)  # pyright: ignore[reportArgumentType]


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
