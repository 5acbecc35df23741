import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hyperfactor import train
from hyperfactor.experiments.composition import EXPERIMENT as COMPOSITION
from hyperfactor.experiments.interpolation import EXPERIMENT as INTERPOLATION
from hyperfactor.report.page import write_report

VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use", "rect", "image", "stop", "circle", "line"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store, out = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("out")
    results = []
    for experiment in (COMPOSITION, INTERPOLATION):
        runs = {role: [train(spec, store)] for role, spec in experiment.specs("smoke", 0).items()}
        results.append(experiment.result("smoke", (0,), runs))
    return write_report(results, out)


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


def test_it_holds_claims_figures_specs_and_versions(page: Path):
    text = page.read_text()
    document = json.loads((page.parent / "composition.json").read_text())
    assert all(f'id="claim-{claim["id"]}"' in text for claim in document["claims"])
    assert text.count("<svg") == 5
    assert all(run["id"] in text for run in document["runs"])
    assert text.count("learning_rate: 0.001") == 6
    assert "torch 2" in text
    assert sorted(p.suffix for p in (page.parent / "figures").iterdir()) == [".pdf"] * 5 + [".svg"] * 5


def test_the_claims_table_has_a_row_a_claim(page: Path):
    document = json.loads((page.parent / "composition.json").read_text())
    lines = (page.parent / "composition-claims.md").read_text().splitlines()
    assert lines[0].startswith("Preset smoke, 1 seed; finished 20")
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[4:]] == [
        c["statement"] for c in document["claims"]
    ]


def test_the_verdicts_stand_on_top_and_lead_to_their_sections(page: Path):
    text = page.read_text()
    table = text[text.index("<h2>Verdicts</h2>") : text.index("<h2>composition</h2>")]
    documents = [json.loads((page.parent / f"{name}.json").read_text()) for name in ("composition", "interpolation")]
    claims = [claim for document in documents for claim in document["claims"]]
    assert re.findall(r'href="#claim-([^"]+)"', table) == [claim["id"] for claim in claims]
    for verdict in ("holds", "fails", "undecided", "not measured"):
        assert table.count(f'class="{verdict.replace(" ", "-")}"') == sum(
            claim["verdict"] == verdict for claim in claims
        )
    assert f"{sum(claim['verdict'] == 'holds' for claim in claims)} of {len(claims)} claims hold" in table


def test_results_hold_every_table_of_claims(page: Path):
    text = (page.parent / "results.md").read_text()
    for name in ("composition", "interpolation"):
        assert f"## {name}\n" in text
        assert (page.parent / f"{name}-claims.md").read_text() in text
    assert "6 models on cpu" in text
