"""The report: its words, its drawings of claims, its links, its size, and how a browser shows it."""

import io
import json
import re
import tomllib
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
import yaml
from markupsafe import Markup

from hyperfactor import colours, train
from hyperfactor.experiments import Bound, Claim
from hyperfactor.experiments.base import Result, RunNote
from hyperfactor.experiments.composition import EXPERIMENT as COMPOSITION
from hyperfactor.experiments.interpolation import EXPERIMENT as INTERPOLATION
from hyperfactor.figures import style
from hyperfactor.report import citation, drawing, finding, interval, learning, method
from hyperfactor.report.page import LONGEST, Drawn, Section, _page, write_report
from hyperfactor.report.table import of_claims

from .chromium import PATIENCE

VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use", "rect", "image", "stop", "circle", "line"}
VERDICTS = ("holds", "fails", "undecided", "not measured")
ROOT = Path(__file__).parents[1]


def made(name: str, bound: Bound, low: float, mean: float, high: float, *seeds: float, roles: Any = ()) -> Claim:
    """A claim that was measured."""
    said = bound.verdict(low, high)
    return Claim(name, "4", f"statement {name}", "paper", bound, mean, (low, high), "by hand", seeds, said, "", roles)


CLAIMS = [
    made("above", Bound(">", 0), 0.1, 0.2, 0.4, 0.15, 0.2, 0.25, roles=("2d",)),
    made("within", Bound(">=", 0.5), 0.6, 0.6, 0.6, 0.6, roles=("1d", "1d+rim")),
    made("below", Bound("<=", 0.3), -1.5, -0.25, 0.125, -1.25, 0.0, 0.5),
    made("too low", Bound(">=", 0.98), 0.0, 0.01, 0.033, 0.0, 0.01, 0.02),
    made("too high", Bound("<=", 4), 1200.0, 1500.0, 1700.0),
    made("on both sides", Bound(">", 1.5), 1.25, 1.5, 1.75, 1.25, 1.75),
    Claim("why", "1", "no number", "ours", Bound(">", 0), None, None, "", (), "not measured", "it did <not> learn"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """Results of real runs; the claims of the first are made up, so that each verdict occurs."""
    store, found = tmp_path_factory.mktemp("store"), []
    for experiment in (COMPOSITION, INTERPOLATION):
        runs = {role: [train(spec, store)] for role, spec in experiment.specs("smoke", 0).items()}
        found.append(experiment.result("smoke", (0,), runs))
    return [replace(found[0], claims=tuple(CLAIMS)), found[1]]


@pytest.fixture(scope="module")
def page(results: list[Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(results, tmp_path_factory.mktemp("out"))


def part(page: Path, name: str) -> str:
    """The section of a page with this id."""
    text = page.read_text()
    start = text.index(f'<section id="{name}">')
    return text[start : text.index("</section>", start)]


def test_it_needs_no_other_host(page: Path):
    text = page.read_text()
    loaded = re.findall(r'(?:src|href)="([^"]*)"|url\(([^)]*)\)|@import', text)
    assert [a or b for a, b in loaded if not (a or b).startswith(("#", "data:"))] == []
    assert "<script" not in text


def test_ids_are_unique_and_references_resolve(page: Path):
    text = page.read_text()
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    targets |= set(re.findall(r'aria-labelledby="([^"]+)"', text))
    assert targets <= set(ids)


def test_tags_close_in_order(page: Path):
    class Checker(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag, attrs):
            if tag not in VOID:
                self.open.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            if tag not in VOID:
                assert self.open.pop() == tag

    checker = Checker()
    checker.feed(page.read_text())
    assert checker.open == []


def test_headings_do_not_skip_a_level(page: Path):
    levels = [int(level) for level in re.findall(r"<h(\d)", page.read_text())]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_it_holds_claims_figures_specs_and_versions(page: Path):
    text = page.read_text()
    document = json.loads((page.parent / "composition.json").read_text())
    assert all(f'id="claim-{claim["id"].replace(" ", "_")}"' in text for claim in document["claims"])
    assert text.count('<div class="paper"') == 5
    assert all(f'id="run-{run["id"]}"' in text for run in document["runs"])
    assert text.count("learning_rate: 0.001") == 6
    assert "torch 2" in part(page, "packages")
    assert sorted(p.suffix for p in (page.parent / "figures").iterdir()) == [".pdf"] * 5 + [".svg"] * 5


def test_the_contents_lead_to_every_section(page: Path):
    text = page.read_text()
    contents = text[text.index("<nav") : text.index("</nav>")]
    assert set(re.findall(r'<section id="([^"]+)"', text)) <= set(re.findall(r'href="#([^"]+)"', contents))
    assert {"composition-claims", "composition-figure-10", "interpolation-models"} <= set(
        re.findall(r'href="#([^"]+)"', contents)
    )


def test_the_claims_table_has_a_row_a_claim(page: Path):
    lines = (page.parent / "composition-claims.md").read_text().splitlines()
    assert lines[0].startswith("Preset smoke, 1 seed; finished 20")
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[4:]] == [c.statement for c in CLAIMS]


def test_results_hold_every_table_of_claims(page: Path):
    text = (page.parent / "results.md").read_text()
    for name in ("composition", "interpolation"):
        assert f"## {name}\n" in text
        assert (page.parent / f"{name}-claims.md").read_text() in text
    assert "6 models on cpu" in text


def counted(text: str) -> dict[str, int]:
    """The number of claims that sentences give each verdict."""
    words = {"hold": "holds", "fail": "fails", "undecided": "undecided", "not measured": "not measured"}
    found = re.findall(r"(?:(\d+) of |All )(\d+) claims (?:are |is |was |were )?(hold|fail|undecided|not mea\w+)", text)
    return {words[word.rstrip("s")]: int(some or every) for some, every, word in found}


def test_the_words_on_top_agree_with_the_verdicts(page: Path, results: list[Result]):
    claims = [claim for result in results for claim in result.claims]
    truth = Counter(claim.verdict for claim in claims)
    assert set(truth) == set(VERDICTS)
    top = part(page, "found")
    assert counted("\n".join(re.findall(r"<li>(\d.*? claims .*?)</li>", top))) == truth
    rows = re.findall(r'<tr[^>]*><th scope="row">(?:<a[^>]*>)?(\w+)(?:</a>)?</th>\s*(.*?)</tr>', top, re.S)
    numbers = {name: list(map(int, re.findall(r">(\d+)<", row))) for name, row in rows}
    for name, some in (("composition", CLAIMS), ("interpolation", results[1].claims), ("all", claims)):
        assert numbers[name] == [Counter(claim.verdict for claim in some)[verdict] for verdict in VERDICTS]
    assert re.findall(r'<li><a href="#claim-([^"]+)"', top) == [
        claim.id.replace(" ", "_")
        for result in results
        for verdict in VERDICTS
        for claim in result.claims
        if claim.verdict == verdict
    ]


@pytest.mark.parametrize(
    ("verdicts", "answer"),
    [
        ("hhh", "Every claim holds."),
        ("hhu", "Every claim of those that are decided holds."),
        ("fn", "Every claim of those that are decided fails."),
        ("hf", "The answer is mixed."),
        ("un", "No claim is decided, so the question stays open."),
        ("nn", "Nothing was measured, so the question stays open."),
    ],
)
def test_sentences_say_what_the_verdicts_back_and_no_more(verdicts: str, answer: str):
    names = {verdict[0]: verdict for verdict in VERDICTS}
    claims = [replace(CLAIMS[0], verdict=names[letter]) for letter in verdicts]
    assert finding.answer(claims) == answer
    said = " ".join(finding.found(claims))
    assert counted(said) == Counter(names[letter] for letter in verdicts)
    assert ("support" in said) == ("h" in verdicts)
    assert ("contradict" in said) == ("f" in verdicts)
    assert ("Nothing follows" in said) == ("n" in verdicts)


def test_few_seeds_and_the_smoke_preset_are_cautioned_against(results: list[Result]):
    assert ["smoke" in said for said in finding.cautions(results)] == [True, False]
    assert "1 seed is over drawings" in finding.cautions(results)[1]
    assert finding.cautions([replace(results[0], preset="laptop", seeds=(0, 1, 2))]) == []


@pytest.mark.parametrize("claim", CLAIMS[:-1], ids=lambda claim: claim.id)
def test_the_interval_is_drawn_where_the_numbers_say(claim: Claim):
    root = ElementTree.fromstring(interval.draw(claim))
    ticks = [
        (float(text.attrib["x"]), float((text.text or "").replace("\N{MINUS SIGN}", "-"))) for text in root.iter("text")
    ]
    assert len(ticks) >= 2
    (x0, v0), (x1, v1) = ticks[0], ticks[-1]

    def value(x: float) -> float:
        return v0 + (x - x0) / (x1 - x0) * (v1 - v0)

    def of(name: str) -> list[ElementTree.Element]:
        return [element for element in root.iter() if element.get("class") == name]

    def path(name: str) -> list[list[float]]:
        return [[float(number) for number in re.findall(r"-?[\d.]+", one.attrib["d"])] for one in of(name)]

    near: dict[str, Any] = {"abs": 0.002 * abs(v1 - v0)}
    ((start, _, _, _, _, end, *_),) = path("interval")
    assert claim.interval
    assert (value(start), value(end)) == (
        pytest.approx(claim.interval[0], **near),
        pytest.approx(claim.interval[1], **near),
    )
    assert value(float(of("mean")[0].attrib["cx"])) == pytest.approx(claim.measured, **near)
    assert [value(numbers[0]) for numbers in path("seed")] == [pytest.approx(seed, **near) for seed in claim.seeds]
    bound = path("bound")[0][0]
    assert value(bound) == pytest.approx(claim.bound.value, **near)
    (allowed,) = of("allowed")
    left, width = float(allowed.attrib["x"]), float(allowed.attrib["width"])
    if claim.bound.relation == "<=":
        assert (left, left + width) == (interval.LEFT, pytest.approx(bound, abs=0.02))
    else:
        assert (left, left + width) == (bound, pytest.approx(interval.RIGHT, abs=0.02))
    assert all(interval.LEFT <= x <= interval.RIGHT for x in (start, end, bound, *(x for x, _ in ticks)))
    assert f"95 % interval {claim.cells()[1]}" in root.attrib["aria-label"]
    assert root.attrib["aria-label"].endswith(f"{claim.verdict}.")


def test_a_claim_without_numbers_is_not_drawn(page: Path):
    assert interval.draw(CLAIMS[-1]) == ""
    assert part(page, "composition").count('<svg class="claim"') == len(CLAIMS) - 1
    assert "it did &lt;not&gt; learn" in part(page, "composition")


def test_a_claim_leads_to_the_runs_that_it_is_about(page: Path, results: list[Result]):
    cards = re.findall(r'<li class="card" id="claim-([^"]+)">(.*?)</details>', part(page, "composition"), re.S)
    roles = {claim.id.replace(" ", "_"): claim.roles for claim in CLAIMS}
    ids = {note.role: note.id for note in results[0].runs}
    for name, card in cards:
        assert re.findall(r'href="#run-(\w+)"', card) == [ids[role] for role in ids if role in (roles[name] or ids)]
    assert len(cards) == len(CLAIMS)


def test_runs_lead_to_the_spec_that_trains_them_again(page: Path, results: list[Result]):
    articles = re.findall(r"<article.*?</article>", part(page, "runs"), re.S)
    for note in results[0].runs:
        (article,) = (text for text in articles if f'id="run-{note.id}"' in text)
        spec = yaml.safe_load(re.findall(r"<pre[^>]*>(.*?)</pre>", article, re.S)[0])
        assert spec == json.loads(json.dumps(note.spec))


def test_it_says_which_models_have_learnt(page: Path, results: list[Result]):
    shares = [note.manifest["accuracy"]["train"]["right"] for note in results[0].runs]
    models = learning.learnt(results[0].runs)
    assert [of_role.right for of_role in models] == [(share,) for share in shares]
    assert f"{sum(share >= 0.9 for share in shares)} of 4 models draw" in part(page, "composition")
    right = {"accuracy": {"train": {"right": 0.95, "n": 9, "valid": 1.0, "error": 0.0}}}
    notes = [RunNote("a", seed, "0", {"data": {"fraction": 1.0}}, right) for seed in (0, 1)]
    assert learning.said(learning.learnt(notes)).startswith("Every model draws at least 0.9")
    few = {"accuracy": {"train": {"right": 0.05, "n": 9, "valid": 1.0, "error": 0.0}}}
    of_part = learning.said(learning.learnt([*notes, RunNote("b", 0, "1", {"data": {"fraction": 0.01}}, few)]))
    assert of_part.startswith("Every model draws at least 0.9")
    assert "1 model was trained on a random part" in of_part
    assert "not learnt" not in of_part


def test_a_bar_in_a_reason_ends_no_cell(results: list[Result]):
    claim = replace(CLAIMS[-1], reason="model 'composition | 2' of seed 0")
    (row,) = of_claims(replace(results[0], claims=[claim])).splitlines()[4:]
    assert len(re.split(r"(?<!\\)\|", row)) == 11  # nine cells, and what is before the first and after the last bar


def test_methods_name_the_samplers_that_representations_are_read_from(results: list[Result]):
    table = pl.DataFrame({"source": ["truth", "ddim 20", "ddpm 1000", "ddim 20"]})
    (said,) = method.sources([results[0], replace(results[1], tables={"models": table})])
    assert said == (
        "The representations of interpolation are read from drawings by ddim 20, drawings by ddpm 1000, true pictures "
        "(sampler and steps)."
    )


def test_methods_state_the_numbers_of_the_specs_once(page: Path, results: list[Result]):
    found = method.methods(results)
    shared = " ".join(sentence for topic in found.shared.values() for sentence in topic)
    own = {name: " ".join(one for topic in topics.values() for one in topic) for name, topics in found.own.items()}
    assert "A model takes 6 training steps. A step takes 4 pictures." in shared
    assert "AdamW at 0.001 (betas 0.9 and 0.95)" in shared + own["composition"]
    assert "It has 89,817 parameters." in shared
    assert "parameters" not in own["composition"] + own["interpolation"]
    assert "10,000 pictures (2d); 12,000 pictures (1d); 22,000 pictures (2d+1d)" in own["composition"]
    assert "x (open, 0 to 31, correct if within 1)" in shared + own["interpolation"]
    assert "everything without x in 12 to 19 (8)" in own["interpolation"]
    assert "A model takes 6 training steps." in part(page, "methods")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"kind": "everything"}, "everything"),
        ({"kind": "cross", "bounds": [13.0, 19.0]}, "any factor in 13 to 19"),
        ({"kind": "rectangle", "bounds": {"x": [0, 1], "y": [2, 2]}}, "x in 0 to 1 and y in 2"),
        ({"kind": "random", "share": 0.5, "seed": 0}, "the region random (share 0.5, seed 0)"),
        (
            {
                "kind": "union",
                "of": [
                    {"kind": "everything"},
                    {
                        "kind": "difference",
                        "of": {"kind": "strip", "factor": "x", "low": 0, "high": 0.5},
                        "without": {"kind": "rim", "bounds": [0, 9], "width": 2},
                    },
                ],
            },
            "everything and [x in 0 to 0.5 without the rim of 0 to 9, 2 thick]",
        ),
        (
            {"kind": "interior", "bounds": {"x": [1, 5], "y": [2, 6]}, "width": 2},
            "the interior of 1 to 5 in x and 2 to 6 in y, 2 wide",
        ),
        ({"kind": "at least", "count": 2, "bounds": [1, 5]}, "at least 2 of the factors in 1 to 5"),
        ({"kind": "of a user", "values": [0, 2]}, "the region of a user (values 0, 2)"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_regions_in_words(section: dict[str, Any], words: str):
    assert method.region(section) == words


def test_the_entries_of_bibtex_are_those_of_the_citation_file(page: Path):
    project, paper = citation.bibtex().split("\n\n")
    assert "title = {Hyperfactor}" in project
    for words in (
        "title = {How Diffusion Models Learn to Factorize and Compose}",
        "author = {Liang, Qiyao and Liu, Ziming and Ostrow, Mitchell and Fiete, Ila}",
        "year = {2024}", "eprint = {2408.13256}",
    ):  # fmt: skip
        assert words in paper
    assert all(entry.count("{") == entry.count("}") for entry in (project, paper))
    assert "2408.13256" in part(page, "cite")
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    ((source, installed),) = wheel["force-include"].items()
    assert (ROOT / source).samefile(citation._PLACES[1])
    assert Path(installed).parts == (*Path(citation.__file__).parts[-3:-1], citation._PLACES[0].name)


def figure(points: int) -> Any:
    """A figure with letters, a line, a grey picture, bars, and a scatter of this many points."""
    with style.context():
        made = style.new(4, 2, "a note")
        left, right = made.subplots(1, 2)
        values = np.linspace(0, 1, points)
        left.scatter(values, np.sin(20 * values), c=style.colours("viridis", values), s=4, linewidths=0)
        left.set(xlabel="some letters", title=r"$10^{-3}$")
        right.bar([0, 1, 2, 3], [3, 1, 2, 4], color=[colours.BLUE, colours.BLUE, colours.BLUE, colours.ORANGE])
        right.plot([0, 3], [0, 4], "--", color=style.BLACK)
        right.imshow(np.eye(8), cmap="gray", extent=(0, 1, 3, 4), aspect="auto")
        right.set(xlim=(-1, 4), ylim=(0, 5))
    return made


def added(drawings: drawing.Drawings, of: Any) -> Markup:
    return drawings.add(of, style.save(of, "svg"), "caption")


def test_letters_are_shared_and_a_large_cloud_becomes_a_picture():
    drawings = drawing.Drawings()
    small, again, large = (added(drawings, figure(points)) for points in (50, 50, 5000))
    assert small.count("<image") == 1
    assert len(small) == len(again) < 20_000
    assert len(drawings.letters()) < 40_000
    assert "<path id=" not in small.replace('<path id="f', "")  # only shapes of its own, such as markers
    assert large.count("<image") == 2
    assert large.count("<use") < 300
    assert len(style.save(figure(5000), "svg")) > 4 * drawing.LARGEST
    assert len(large) < drawing.LARGEST


def test_the_whole_paper_is_below_5_megabytes(results: list[Result]):
    """The limits hold for each part, so they hold for the page: as many parts as the paper has, each at its limit."""
    experiments, seeds = 11, 3
    rows = pl.DataFrame({f"column {k}": np.linspace(0, 1, LONGEST + 1000) for k in range(14)})
    note, claim = (
        results[0].runs[0],
        replace(CLAIMS[0], statement="words " * 20, method="Student over 3 seeds, at least"),
    )
    sections = []
    for k in range(experiments):
        runs = [
            replace(
                note, role=f"role {j}", seed=seed, id=f"{k:04}{j:08}{seed:04}",
                spec={**note.spec, "seed": seed, "k": (k, j)},
            )
            for j in range(12) for seed in range(seeds)
        ]  # fmt: skip
        claims = [replace(claim, id=f"{k}.{i}", roles=tuple(f"role {j}" for j in range(6))) for i in range(17)]
        result = Result(f"e{k}", "laptop", (0, 1, 2), 1.0, tuple(claims), {"a": rows, "b": rows}, {}, tuple(runs))
        drawn = [Drawn(str(n), f"e{k}-{n}", "words " * 40, Markup("x" * drawing.LARGEST)) for n in range(2)]
        sections.append(Section(result, "?", drawn, learning.learnt(result.runs)))
    text = _page(sections, Markup("x" * 40_000))
    assert text.count("<tr><td>0.000</td>") == 2 * experiments
    assert len(text.encode()) < 5_000_000
    assert text.count("learning_rate: 0.001") == 12 * experiments  # once for the seeds of a model


@pytest.fixture(scope="module")
def shown(page: Path, browser: Any):
    """Open the page with a width and a colour scheme; what it complains of and asks for is kept."""

    def open_page(width: int, height: int, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        shown = context.new_page()
        shown.set_default_timeout(PATIENCE)
        shown.complaints = []
        shown.on("console", lambda message: shown.complaints.append(message.text))
        shown.on("pageerror", lambda error: shown.complaints.append(str(error)))
        shown.on(
            "request",
            lambda request: request.url.startswith(("file:", "data:")) or shown.complaints.append(request.url),
        )
        shown.goto(page.as_uri())
        return shown

    return open_page


RIGHT_EDGES = """selector => [...document.querySelectorAll(selector)].map(one => one.getBoundingClientRect().right)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800)])
def test_a_browser_shows_it_without_a_serious_finding(shown: Any, width: int, height: int, scheme: str):
    from axe_playwright_python.sync_playwright import Axe

    opened = shown(width, height, scheme)
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    first = opened.locator(".card .verdict").first
    first.scroll_into_view_if_needed()
    box = first.bounding_box()
    assert first.is_visible()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert max(opened.evaluate(RIGHT_EDGES, ".verdict, .statement, svg.claim, .counts")) <= width
    opened.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    found = Axe().run(opened).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
    assert opened.complaints == []
    opened.context.close()


def test_the_keyboard_reaches_it_with_a_visible_focus(shown: Any):
    opened = shown(1280, 800)
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.textContent") == "Skip to the findings"
    assert opened.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    opened.keyboard.press("Tab")
    assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    opened.keyboard.press("Enter")
    opened.wait_for_url("**#found")
    opened.context.close()


def test_it_prints_without_cut_off_parts(shown: Any):
    opened = shown(680, 1000)  # the width of A4 within its margins
    opened.emulate_media(media="print")
    edges = opened.evaluate(RIGHT_EDGES, "table, svg, pre, .card")
    assert max(edges) <= 680.5
    assert opened.locator(".card details").first.is_hidden()
    content = opened.pdf(prefer_css_page_size=True, format="A4")
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 5
    opened.context.close()


def test_a_shortened_figure_looks_as_the_original(browser: Any):
    from PIL import Image

    opened, drawings = browser.new_page(viewport={"width": 800, "height": 500}), drawing.Drawings()
    opened.set_default_timeout(PATIENCE)
    short = added(drawings, figure(150))
    original = style.save(figure(150), "svg").decode()
    look = "<style>body{margin:0;background:#fff} .letters{position:absolute} svg{width:800px;height:400px}</style>"
    pictures = []
    for content in (original[original.index("<svg") :], f"{drawings.letters()}{short}"):
        opened.set_content(f"{look}{content}")
        pictures.append(np.asarray(Image.open(io.BytesIO(opened.screenshot())).convert("L"), dtype=float))
    opened.close()
    apart = np.abs(pictures[0] - pictures[1])
    assert pictures[0].std() > 10
    assert apart.mean() < 0.2
    assert (apart > 64).mean() < 0.001
