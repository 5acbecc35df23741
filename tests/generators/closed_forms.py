"""The published paths in float64, from their formulas."""

import numpy as np

from hyperfactor.generators.paths import DiffusionSpec


def levels(spec: DiffusionSpec) -> tuple[np.ndarray, np.ndarray]:
    """alpha_t and sigma_t of each timestep.

    linear: Ho et al., arXiv 2006.11239, section 4. squaredcos_cap_v2: Nichol and Dhariwal, arXiv 2102.09672, equation
    17, a ratio f(t) / f(0) with f(t) = cos^2((t / T + s) / (1 + s) pi / 2), s = 0.008, and no beta above 0.999.
    straight: Lipman et al., arXiv 2210.02747, example II with sigma_min = 0, at sigma = 1 / T, 2 / T, .. 1.
    """
    if spec.schedule == "straight":
        sigma = np.linspace(1 / spec.timesteps, 1, spec.timesteps)
        return 1 - sigma, sigma
    if spec.schedule == "linear":
        kept = np.cumprod(1 - np.linspace(spec.beta_start, spec.beta_end, spec.timesteps))
    else:
        f = np.cos((np.arange(spec.timesteps + 1) / spec.timesteps + 0.008) / 1.008 * np.pi / 2) ** 2
        kept = np.cumprod(1 - np.minimum(1 - f[1:] / f[:-1], 0.999))
    return np.sqrt(kept), np.sqrt(1 - kept)
