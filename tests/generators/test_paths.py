"""Paths and predictions, against closed forms and diffusers."""

import itertools
from typing import Any, cast, get_args

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from scipy import stats

from hyperfactor import RequestError
from hyperfactor.generators.denoiser import _dpm_solver
from hyperfactor.generators.paths import CLEAN, DiffusionSpec, Path, Prediction, SamplingSpec

from .closed_forms import levels

SPECS = [
    DiffusionSpec(),
    DiffusionSpec(beta_start=1e-3, beta_end=0.05, timesteps=400),
    DiffusionSpec(schedule="squaredcos_cap_v2", timesteps=37),
    DiffusionSpec(schedule="straight", timesteps=50),
]
PREDICTIONS = get_args(Prediction)
by_schedule = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.schedule)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@by_schedule
def test_the_levels_are_the_published_ones(spec: DiffusionSpec):
    path = Path(spec)
    for ours, published in zip(spec.levels(), levels(spec), strict=True):
        assert ours.dtype == torch.float32
        assert ours.numpy() == pytest.approx(published, rel=1e-3, abs=1e-6)
    assert path.at(CLEAN) == (1, 0)
    assert not list(path.state_dict())


@pytest.mark.parametrize("spec", SPECS[:3], ids=lambda spec: spec.schedule)
def test_noising_and_v_are_those_of_diffusers_to_the_bit(spec: DiffusionSpec):
    path, x0, noise = Path(spec), normal(6, 2, 8, 8), normal(6, 2, 8, 8, seed=1)
    theirs: Any = DDPMScheduler(spec.timesteps, spec.beta_start, spec.beta_end, cast(Any, spec.schedule))
    timestep = torch.tensor([0, 1, 7, 20, 30, spec.timesteps - 1])
    assert torch.equal(path.mix(x0, noise, timestep), theirs.add_noise(x0, noise, timestep))
    assert torch.equal(path.target("v", x0, noise, timestep), theirs.get_velocity(x0, noise, timestep))


def test_the_straight_path_is_that_of_diffusers():
    spec = DiffusionSpec(schedule="straight", timesteps=100)
    theirs: Any = FlowMatchEulerDiscreteScheduler(num_train_timesteps=100)
    assert torch.allclose(spec.levels()[1], theirs.sigmas.flip(0))  # theirs fall from noise to picture


@by_schedule
def test_noising_has_the_stated_mean_and_variance(spec: DiffusionSpec):
    noise, (alpha, sigma) = normal(20_000, 1, 1, 1), levels(spec)
    for t in (0, spec.timesteps // 3, spec.timesteps - 1):
        x = Path(spec).mix(torch.full_like(noise, 0.7), noise, torch.full((20_000,), t)).flatten().numpy()
        assert stats.kstest(x, stats.norm(0.7 * alpha[t], sigma[t]).cdf).pvalue > 0.01


@pytest.mark.parametrize(("spec", "prediction"), list(itertools.product(SPECS, PREDICTIONS)), ids=str)
def test_a_prediction_and_its_parts_are_inverses_of_each_other(spec: DiffusionSpec, prediction: Prediction):
    path, x0, noise = Path(spec).double(), normal(5, 2, 4, 4).double(), normal(5, 2, 4, 4, seed=1).double()
    if prediction == "v" and spec.schedule == "straight":
        return  # refused
    for timestep in (0, spec.timesteps // 2, spec.timesteps - 2, torch.tensor([0, 1, 5, 9, 30])):
        x, output = path.mix(x0, noise, timestep), path.target(prediction, x0, noise, timestep)
        for part, found in zip((x0, noise), path.split(prediction, output, x, timestep), strict=True):
            assert torch.allclose(found, part, atol=1e-4)
        anything = normal(5, 2, 4, 4, seed=2).double()  # and of no picture and noise that were mixed
        parts = path.split(prediction, anything, x, timestep)
        assert torch.allclose(path.target(prediction, *parts, timestep), anything, atol=1e-4)
        assert torch.allclose(path.mix(*parts, timestep), x, atol=1e-4)


def test_the_velocity_of_the_straight_path_is_its_derivative():
    path, x0, noise = Path(DiffusionSpec(schedule="straight")).double(), normal(2, 1, 4, 4), normal(2, 1, 4, 4, seed=1)
    slope = (path.mix(x0, noise, 500) - path.mix(x0, noise, 100)) / (400 / 1000)
    assert torch.allclose(slope, path.target("velocity", x0, noise, 300).double(), atol=1e-5)


def test_v_has_no_meaning_on_the_straight_path():
    with pytest.raises(
        RequestError, match="prediction: got 'v' on the straight schedule, needs 'velocity' or 'sample'"
    ):
        DiffusionSpec(schedule="straight", prediction="v")


def test_there_are_as_many_timesteps_as_steps_and_none_twice_or_below_0():
    for total in (2, 3, 10, 64, 250, 1000):
        for steps in range(1, total + 1):
            told = SamplingSpec(steps=steps).timesteps(total)
            assert len(told) == steps
            assert told[0] == total - 1
            assert told[-1] >= 0
            gaps = -np.diff(told)
            assert (gaps >= 1).all()
            assert (np.abs(gaps - total / steps) <= 1).all()
            if total % steps == 0:
                assert told == list(range(total - 1, -1, -total // steps))


def test_the_scheduler_has_the_sampler_s_timesteps_and_our_levels():
    for steps in (1, 15, 16, 29, 31, 60, 100):
        sampling, spec = SamplingSpec(sampler="dpm-solver++", steps=steps), DiffusionSpec(timesteps=100)
        scheduler = _dpm_solver(spec, sampling)
        assert scheduler.timesteps.tolist() == sampling.timesteps(100)
        assert torch.equal(scheduler.alphas_cumprod**0.5, spec.levels()[0])
