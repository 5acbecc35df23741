"""BibTeX entries of this project and of the paper that it implements, from CITATION.cff."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyperfactor.runs.spec import read_yaml

# In an installed package the file lies beside this one, and in a checkout at its root.
_PLACES = (Path(__file__).with_name("CITATION.cff"), Path(__file__).parents[3] / "CITATION.cff")


def bibtex() -> str:
    """Return an entry for this project and one for each work that it refers to."""
    cited = read_yaml(next(place for place in _PLACES if place.exists()))
    about = {"title": cited["title"], "author": _authors(cited), "version": cited["version"], "note": cited["abstract"]}
    return "\n\n".join([_entry("software", "hyperfactor", about), *map(_reference, cited["references"])])


def _reference(cited: Mapping[str, Any]) -> str:
    about = {"title": cited["title"], "author": _authors(cited), "year": cited["year"]}
    about |= {"booktitle": cited["collection-title"], "url": cited["url"]}
    if "arxiv.org/abs/" in cited["url"]:
        about |= {"eprint": cited["url"].rpartition("/")[2], "archiveprefix": "arXiv"}
    return _entry("inproceedings", f"{cited['authors'][0]['family-names'].lower()}{cited['year']}", about)


def _authors(cited: Mapping[str, Any]) -> str:
    """Names as BibTeX reads them; that of an organisation is in braces of its own."""
    return " and ".join(
        f"{one['family-names']}, {one['given-names']}" if "family-names" in one else f"{{{one['name']}}}"
        for one in cited["authors"]
    )


def _entry(kind: str, key: str, about: Mapping[str, Any]) -> str:
    fields = ",\n".join(f"  {name} = {{{value}}}" for name, value in about.items())
    return f"@{kind}{{{key},\n{fields}\n}}"
