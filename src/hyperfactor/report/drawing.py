"""Figures for a page: the same drawings in fewer bytes, with ids of their own, so that many fit on one page."""

import base64
import io
import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from markupsafe import Markup
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from PIL import Image

from hyperfactor.figures import style

LARGEST = 100_000  # bytes of a figure whose clouds of points stay vectors
CLOUD = 200  # points from which a scatter is a cloud
RESOLUTION = 200  # dots per inch of a cloud that does not stay a vector

SVG, HREF = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_LEFT_OUT = (f"{SVG}metadata", f"{SVG}style")  # the style is the same in every figure; the page has it once
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_REFERENCE = re.compile(r"^#(\S+)$|url\(#([^)]+)\)")
_LETTER = "scale(0.015625"  # of matplotlib's letters alone: 1/64
_COORDINATES = re.compile(r"d|transform|[xy]|width|height")  # attributes that have them
_PNG = "data:image/png;base64,"
_TOGETHER = 3  # elements in a row that share a style before it is written once for all
_SHARED = ("style", "clip-path")


class Drawings:
    """The figures of one page. They share the shapes of their letters."""

    def __init__(self) -> None:
        self._count = 0
        self._letters: dict[str, tuple[str, dict[str, str]]] = {}  # matplotlib's id -> ours, and the attributes

    def add(self, figure: Figure, svg: bytes, caption: str) -> Markup:
        """Return a figure as an <svg> element.

        Coordinates are rounded to 1/100 point (below 1, to three digits), which is less than a screen or a printer
        shows; grey pictures are stored as such; elements in a row that look the same share one style. If the figure is
        still larger than LARGEST, each cloud of points in it becomes a picture of RESOLUTION.

        Parameters
        ----------
        figure : matplotlib.figure.Figure
            The figure. Its clouds are marked as pictures if it is too large.
        svg : bytes
            The figure as SVG, from `style.save`.
        caption : str
            Id of the element that describes it.
        """
        drawn = self._shortened(svg, caption)
        clouds = [one for one in figure.findobj(PathCollection) if np.shape(one.get_offsets())[0] >= CLOUD]
        if len(drawn) > LARGEST and clouds:
            for cloud in clouds:
                cloud.set_rasterized(True)
            figure.set_dpi(RESOLUTION)
            drawn = self._shortened(style.save(figure, "svg"), caption)
        self._count += 1
        return drawn

    def letters(self) -> Markup:
        """Return the <svg> element with the letters of all figures. It shows nothing."""
        shapes = "".join(
            f'<path id="{own}" d="{about["d"]}" transform="{about["transform"]}"/>'
            for own, about in self._letters.values()
        )
        return Markup(f'<svg class="letters" aria-hidden="true" width="0" height="0"><defs>{shapes}</defs></svg>')

    def _shortened(self, svg: bytes, caption: str) -> Markup:
        root = ElementTree.fromstring(svg)
        for parent in list(root.iter()):
            parent[:] = [child for child in parent if child.tag not in _LEFT_OUT and not self._is_letter(child)]
            for child in parent:
                child.tail = None
            if parent.text and not parent.text.strip():
                parent.text = None
        ids = self._ids(root)
        for element in root.iter():
            element.attrib = dict(filter(None, (_shorter(key, value, ids) for key, value in element.attrib.items())))
        _tidy(root)
        root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-labelledby": caption}
        for element in root.iter():
            element.tag = element.tag.removeprefix(SVG)
        return Markup(ElementTree.tostring(root, encoding="unicode").replace(" />", "/>"))

    def _is_letter(self, element: Element) -> bool:
        """Whether an element is the shape of a letter; it is then kept for all figures."""
        if "id" not in element.attrib or _LETTER not in element.attrib.get("transform", ""):
            return False
        name, about = element.attrib["id"], {**element.attrib, "d": " ".join(element.get("d", "").split())}
        self._letters.setdefault(name, (f"l{len(self._letters)}", about))
        return True

    def _ids(self, root: Element) -> dict[str, str]:
        """Return a new id for each id that another element refers to."""
        values = [value for element in root.iter() for value in element.attrib.values()]
        found = dict.fromkeys(one or other for value in values for one, other in _REFERENCE.findall(value))
        return {
            old: self._letters[old][0] if old in self._letters else f"f{self._count}-{k}" for k, old in enumerate(found)
        }


def _shorter(key: str, value: str, ids: dict[str, str]) -> tuple[str, str] | None:
    """Return an attribute in fewer bytes; None for an id that nothing refers to."""
    if key == "id":
        return (key, ids[value]) if value in ids else None
    if key == HREF:
        return "href", f"#{ids[value[1:]]}" if value.startswith("#") else _smaller(value)
    if _COORDINATES.fullmatch(key):
        return key, " ".join(_NUMBER.sub(_rounded, value).split())
    value = _REFERENCE.sub(lambda found: f"url(#{ids[found[2]]})" if found[2] else found[0], value)
    return key, value.replace(": ", ":").replace("; ", ";")


def _rounded(found: re.Match[str]) -> str:
    value = float(found[0])
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.3g}"


def _smaller(address: str) -> str:
    """Return a picture with one channel if it is grey, with three if it hides nothing; its pixels stay the same."""
    content = base64.b64decode(address.removeprefix(_PNG))
    image = Image.open(io.BytesIO(content)).convert("RGBA")
    pixels = np.asarray(image)
    if (pixels[..., 3] == 255).all():
        image = image.convert("RGB")
        if (pixels[..., :1] == pixels[..., :3]).all():
            image = Image.fromarray(pixels[..., 0])
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    return _PNG + base64.b64encode(min(content, buffer.getvalue(), key=len)).decode()


def _tidy(parent: Element) -> None:
    """Drop empty definitions, and put neighbours with the same style into a group that has it."""
    parent[:] = [child for child in parent if child.tag != f"{SVG}defs" or len(child)]
    for child in parent:
        _tidy(child)
    rows: list[list[Element]] = []
    for child in parent:
        if rows and child.tag == rows[-1][0].tag != f"{SVG}g" and _look(child) == _look(rows[-1][0]) != {}:
            rows[-1].append(child)
        else:
            rows.append([child])
    for row in rows:
        if len(row) >= _TOGETHER:
            group = Element(f"{SVG}g", _look(row[0]))
            for child in row:
                child.attrib = {key: value for key, value in child.attrib.items() if key not in _SHARED}
            group.extend(row)
            row[:] = [group]
    parent[:] = [child for row in rows for child in row]


def _look(element: Element) -> dict[str, str]:
    return {key: element.attrib[key] for key in _SHARED if key in element.attrib}
