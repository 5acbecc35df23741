"""What Sphinx and its gallery lack here: formulas as MathML, which browsers show without a script; figures that
matplotlib's pyplot does not know; and a check that no built page has a dead link or needs another host."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup
from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml
from matplotlib.figure import Figure
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx_gallery.scrapers import figure_rst


def figures(_block: Any, variables: dict[str, Any], settings: dict[str, Any]) -> str:
    """Save the figures that a block of the gallery has made, and return the text that shows them."""
    known = variables["example_globals"].setdefault("_shown", [])
    new = [one for one in variables["example_globals"].values() if isinstance(one, Figure) and one not in known]
    paths = []
    for figure in new:
        path = Path(next(variables["image_path_iterator"]))
        figure.savefig(path, dpi=200)
        paths.append(str(path))
    known.extend(new)
    return figure_rst(paths, settings["src_dir"])


def faults(folder: Path) -> Iterator[str]:
    """Yield the dead links of built pages, and what they would load from another host."""
    pages = {path: BeautifulSoup(path.read_text(), "html.parser") for path in sorted(folder.rglob("*.html"))}
    anchors = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    for path, page in pages.items():
        for tag in page.find_all(lambda tag: tag.has_attr("href") or tag.has_attr("src")):
            given = str(tag.get("href") or tag.get("src") or "")
            target = urlsplit(given)
            if target.scheme or target.netloc:
                if tag.name != "a" and target.scheme != "data":  # a reader may follow a link to another host
                    yield f"{path.name} loads {given}"
                continue
            place = (path.parent / unquote(target.path)).resolve() if target.path else path
            if not place.exists():
                yield f"{path.name}: nothing at {given}"
            elif place in anchors and target.fragment and unquote(target.fragment) not in anchors[place]:
                yield f"{path.name}: no such place as {given}"
    for path in folder.rglob("*.css"):
        if any(word in path.read_text() for word in ("url(http", "url(//", 'url("http', "@import")):
            yield f"{path.name} loads from another host"


def _check(app: Sphinx, failure: Exception | None) -> None:
    if failure is None and (found := list(faults(Path(app.outdir).resolve()))):
        raise SphinxError("\n".join(found))


def _inline(translator: Any, node: Any) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise SkipNode


def _display(translator: Any, node: Any) -> None:
    translator.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
