"""The methods of a report: sentences with the numbers of its specs, those that most experiments share stated once."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hyperfactor.errors import RequestError
from hyperfactor.experiments.base import Result, RunNote
from hyperfactor.factors.space import Factor
from hyperfactor.images.family import Family

MOST = 6  # different values of a sentence that are listed
NAMED = 3  # roles that are named beside a value
WITHOUT_PATH = ("decoder", "mlp", "vae", "gan")  # kinds of models that do not go from noise to pictures step by step


@dataclass(frozen=True)
class Sentence:
    """A sentence with a gap, and what fills the gap for one run."""

    topic: str
    text: str
    fill: Callable[[RunNote], str]


@dataclass(frozen=True)
class Methods:
    """The sentences of a report by topic: those that hold unless an experiment has its own, and these."""

    shared: dict[str, list[str]]
    own: dict[str, dict[str, list[str]]]


def methods(results: Sequence[Result]) -> Methods:
    """Write the methods of results.

    Parameters
    ----------
    results : sequence of Result
        Results of different experiments.
    """
    shared: list[tuple[str, str]] = []
    own: dict[str, list[tuple[str, str]]] = {result.experiment: [] for result in results}
    for sentence in SENTENCES:
        fills = {result.experiment: _fills(sentence, result.runs) for result in results}
        of_one = Counter(next(iter(of_result)) for of_result in fills.values() if len(of_result) == 1)
        usual, times = of_one.most_common(1)[0] if of_one else ("", 0)
        if 2 * times > len(results):
            shared.append((sentence.topic, sentence.text.format(usual)))
            fills = {name: of_result for name, of_result in fills.items() if list(of_result) != [usual]}
        for name, of_result in fills.items():
            own[name].append((sentence.topic, sentence.text.format(_listed(of_result))))
    return Methods(_by_topic(shared), {name: _by_topic(of_result) for name, of_result in own.items()})


def _by_topic(sentences: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    return {topic: [text for _, text in of_topic] for topic, of_topic in groupby(sentences, key=lambda one: one[0])}


def _fills(sentence: Sentence, notes: Sequence[RunNote]) -> dict[str, list[str]]:
    """Return what fills the gap, with the roles of each."""
    found: dict[str, list[str]] = {}
    for note in notes:
        roles = found.setdefault(sentence.fill(note), [])
        if note.role not in roles:
            roles.append(note.role)
    return found


def _listed(fills: Mapping[str, Sequence[str]]) -> str:
    """List different fills, each with its roles."""
    if len(fills) == 1:
        return next(iter(fills))
    parts = [f"{fill} ({_roles(roles)})" for fill, roles in list(fills.items())[:MOST]]
    more = len(fills) - len(parts)
    return "; ".join(parts) + (f"; and {more} more, which the specs of the runs have" if more else "")


def _roles(roles: Sequence[str]) -> str:
    return ", ".join(roles) if len(roles) <= NAMED else f"{roles[0]} and {len(roles) - 1} other models"


def said(value: Any) -> str:
    """Write a value of a spec."""
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case list() | tuple():
            return ", ".join(map(said, value)) or "none"
        case dict():
            return _kind(value) if "kind" in value else ", ".join(f"{said(v)} in {k}" for k, v in value.items())
        case _:
            return str(value)


def _range(ends: Sequence[float]) -> str:
    """Write the two ends of a range."""
    return " to ".join(dict.fromkeys(map(said, ends)))


def _ranges(bounds: Sequence[float] | Mapping[str, Sequence[float]]) -> str:
    """Write the bounds of a region: one range for all factors, or ranges by name."""
    if isinstance(bounds, Mapping):
        return " and ".join(f"{_range(ends)} in {name}" for name, ends in bounds.items())
    return _range(bounds)


def _kind(section: Mapping[str, Any], tag: str = "kind") -> str:
    """Write a section of a spec: its kind, and in brackets its keys."""
    keys = ", ".join(f"{key} {said(value)}" for key, value in section.items() if key != tag and value is not None)
    return f"{section[tag]} ({keys})" if keys else str(section[tag])


def region(section: Mapping[str, Any]) -> str:
    """Write a region in words."""
    match section:
        case {"kind": "union", "of": of}:
            return " and ".join(f"[{region(part)}]" if part["kind"] == "difference" else region(part) for part in of)
        case {"kind": "difference", "of": of, "without": without}:
            return f"{region(of)} without {region(without)}"
        case {"kind": "everything"}:
            return "everything"
        case {"kind": "strip", "factor": factor, "low": low, "high": high}:
            return f"{factor} in {_range([low, high])}"
        case {"kind": "rectangle" | "cross" as kind, "bounds": dict(bounds)}:
            between = " and " if kind == "rectangle" else " or "
            return between.join(f"{name} in {_range(ends)}" for name, ends in bounds.items())
        case {"kind": "rectangle" | "cross" as kind, "bounds": ends}:
            return f"{'every' if kind == 'rectangle' else 'any'} factor in {_range(ends)}"
        case {"kind": "at least", "bounds": ends, "count": count}:
            return f"at least {count} of the factors in {_ranges(ends)}"
        case {"kind": "interior" | "corner" as kind, "bounds": ends, "width": width}:
            return f"the {kind} of {_ranges(ends)}, {width:g} wide"
        case {"kind": "rim", "bounds": ends, "width": width}:
            return f"the rim of {_ranges(ends)}, {width:g} thick"
        case _:
            return f"the region {_kind(section)}"


def _pictures(note: RunNote) -> str:
    picture = note.spec["data"]["picture"]
    try:
        channels, rows, columns = Family.parse(picture).shape
    except RequestError:  # a family that this process does not know
        return _kind(picture, "family")
    return f"{_kind(picture, 'family')}, {rows} x {columns} pixels of {channels} channel{'s' * (channels > 1)}"


def _factors(note: RunNote) -> str:
    try:
        factors = Family.parse(note.spec["data"]["picture"]).space().factors
    except RequestError:
        return "those of the family"
    fixed = {**note.spec["data"]["fixed"], **note.spec["data"]["test_fixed"]}
    varied = ", ".join(_factor(factor) for factor in factors if factor.name not in fixed)
    return varied + "".join(f", and {name} stays at {value:g}" for name, value in fixed.items())


def _factor(factor: Factor) -> str:
    within = "equal" if factor.kind == "categorical" else f"within {factor.tolerance:g}"
    return f"{factor.name} ({factor.kind}, {factor.low:g} to {factor.high:g}, correct if {within})"


def _spacing(note: RunNote) -> str:
    data = note.spec["data"]
    trained, tested = said(data["spacing"]), said(data["test_spacing"] or data["spacing"])
    return trained if trained == tested else f"{trained} in training and {tested} in testing"


def _trained(note: RunNote) -> str:
    share = note.spec["data"]["fraction"]
    return f"{note.manifest['trained_points']:,} pictures" + (f", a random share of {share:.3g}" if share < 1 else "")


def _tested(note: RunNote) -> str:
    tests = note.spec["data"]["test"].items()
    return ", ".join(f"{name} ({region(part)})" for name, part in tests) or "no other region"


def _judged(note: RunNote) -> str:
    most = note.spec["data"]["test_points"]
    return f"at most {most:,}, drawn at random" if most else "all"


def _encoding(note: RunNote) -> str:
    encoding = note.spec["encoding"]
    return (
        _kind(encoding) if "kind" in encoding else "; ".join(f"{name}: {said(one)}" for name, one in encoding.items())
    )


def _path(note: RunNote) -> str:
    if note.spec["model"]["kind"] in WITHOUT_PATH:
        return f"nothing on the way, because a {note.spec['model']['kind']} draws in one call"
    path = note.spec["diffusion"]
    betas = f" (beta {path['beta_start']:g} to {path['beta_end']:g})" if path["schedule"] == "linear" else ""
    return (
        f"the {path['prediction']} on a {path['schedule']} schedule of {path['timesteps']:,} timesteps{betas}; a "
        f"training timestep is T u^(1/{path['time_bias']:g}) with u uniform, and "
        f"a pixel at distance d from the background has the weight 1 + {path['signal_weight']:g} d"
    )


def _optimizer(note: RunNote) -> str:
    training = note.spec["training"]
    betas = " and ".join(map(said, training["betas"]))
    adamw = f"AdamW at {training['learning_rate']:g} (betas {betas})"
    if training["optimizer"] == "muon":
        adamw = f"Muon at {training['matrix_rate']:g} (momentum {training['momentum']:g}) for matrices, else {adamw}"
    return f"{adamw}, weight decay {training['weight_decay']:g}"


def _rate(note: RunNote) -> str:
    training = note.spec["training"]
    return f"{training['warmup']:,} steps, then falls along a cosine to {training['final_rate']:g} of its largest value"


def _sampling(note: RunNote) -> str:
    if note.spec["model"]["kind"] in WITHOUT_PATH:
        return "one call of the network"
    sampler = note.spec["sampling"]["sampler"]
    return f"{note.spec['sampling']['steps']:,} steps of {sampler if '-' in sampler else sampler.upper()}"


def _training(key: str) -> Callable[[RunNote], str]:
    return lambda note: said(note.spec["training"][key])


SENTENCES = (
    Sentence("Pictures", "The family of pictures is {}.", _pictures),
    Sentence("Pictures", "The factors are {}.", _factors),
    Sentence("Pictures", "The distance between neighbouring values of a factor is {}.", _spacing),
    Sentence("Pictures", "A model is trained on {}.", lambda note: region(note.spec["data"]["train"])),
    Sentence("Pictures", "These are {}.", _trained),
    Sentence("Pictures", "It is judged on what it was trained on, and on {}.", _tested),
    Sentence("Pictures", "The requests of a region that are judged: {}.", _judged),
    Sentence("Network", "The code of a factor value is {}.", _encoding),
    Sentence("Network", "The network is {}.", lambda note: _kind(note.spec["model"])),
    Sentence("Network", "It has {} parameters.", lambda note: f"{note.manifest['parameters']:,}"),
    Sentence("Network", "It predicts {}.", _path),
    Sentence("Training", "A model takes {} training steps.", lambda note: f"{note.spec['training']['steps']:,}"),
    Sentence("Training", "A step takes {} pictures.", _training("batch")),
    Sentence("Training", "The optimizer is {}.", _optimizer),
    Sentence("Training", "The rate rises for {}.", _rate),
    Sentence("Training", "The norm of the gradient is at most {}.", _training("clip")),
    Sentence("Training", "Products are computed in {}.", _training("precision")),
    Sentence(
        "Drawing",
        "Pictures are drawn with the running mean of the weights, whose decay is {} a step.",
        _training("ema"),
    ),
    Sentence("Drawing", "A drawing that is judged takes {}.", _sampling),
)


def seeds(results: Sequence[Result]) -> Iterator[str]:
    """Yield a sentence on the seeds of each result, or one for all if they are the same."""
    of_result = {result.experiment: ", ".join(map(str, result.seeds)) for result in results}
    if len(set(of_result.values())) == 1:
        yield f"Each model is trained with {_numbered(next(iter(of_result.values())))}."
    else:
        yield from (f"The models of {name} are trained with {_numbered(listed)}." for name, listed in of_result.items())


def _numbered(seeds: str) -> str:
    return f"the seeds {seeds}" if "," in seeds else f"seed {seeds}"


def sources(results: Sequence[Result]) -> Iterator[str]:
    """Yield for each result whose tables have a column `source` what its representations are read from."""
    for result in results:
        columns = [table["source"] for table in result.tables.values() if "source" in table.columns]
        if named := sorted({name for column in columns for name in column.drop_nulls().to_list()}):
            shown = ", ".join("true pictures" if name == "truth" else f"drawings by {name}" for name in named)
            yield f"The representations of {result.experiment} are read from {shown} (sampler and steps)."
