"""The floors of docs/architecture.md: a module imports only from its own package and from floors below."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import hyperfactor

ROOT = Path(hyperfactor.__file__).parent
FLOORS = {
    "errors": -2, "arrays": -1, "notebook": -1, "colours": -1, "plugins": 0, "process": 0, "rng": 0, "strict": 0,
    "factors": 1, "store": 1, "images": 2, "percolation": 3, "networks": 2, "generators": 3, "training": 4,
    "measures": 4, "subjects": 5, "runs": 6, "experiments": 7, "figures": 8, "report": 9, "explorer": 10, "cli": 11,
}  # fmt: skip
PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
DECLARED = [
    *PROJECT["dependencies"],
    *(words for extra in PROJECT["optional-dependencies"].values() for words in extra),
]
MODULES = [path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"]


def place(name: str) -> str:
    """`store` for hyperfactor.store.files."""
    return name.split(".")[1]


def imports(path: Path) -> set[str]:
    """The modules of this package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("hyperfactor"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("hyperfactor.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imports(path):
        other = place(name)
        assert other == own or FLOORS[other] < FLOORS[own], f"{path} imports {name}"


def test_no_module_imports_itself_in_a_circle():
    def module(path: Path) -> str:
        return ".".join(("hyperfactor", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")

    names = {module(path): path for path in MODULES}
    graph = {
        name: {other for found in imports(path) for other in names if found == other or found.startswith(other + ".")}
        for name, path in names.items()
    }
    leaves = {name: {o for o in others if o != name and not name.startswith(o + ".")} for name, others in graph.items()}
    while ready := [name for name, others in leaves.items() if not others]:
        for name in ready:
            del leaves[name]
        for others in leaves.values():
            others.difference_update(ready)
    assert leaves == {}


def test_each_package_that_is_imported_is_declared():
    """It is not enough that another package needs it, because that may change."""
    declared = {re.split(r"[\[<>=]", words)[0].lower().replace("_", "-") for words in DECLARED}
    found = {
        name.partition(".")[0]
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        )
    }  # fmt: skip
    sources = packages_distributions()
    others = found - sys.stdlib_module_names - {"", "hyperfactor"}
    assert {"torch", "numba", "yaml"} <= others
    missing = {
        name: sources.get(name, [name])  # an extra may not be installed
        for name in others
        if not declared & {source.lower().replace("_", "-") for source in sources.get(name, [name])}
    }
    assert missing == {}


def test_nothing_is_pickled_and_no_global_generator_is_used():
    forbidden = ("import pickle", "torch.load(", "torch.save(", "allow_pickle=True", "np.random.seed", "random.seed(")
    for path in MODULES:
        text = path.read_text()
        assert [word for word in forbidden if word in text] == [], path
        assert "manual_seed" not in text or path.name == "rng.py", path


def test_the_order_of_rows_is_never_left_to_chance():
    """Without being asked, polars keeps no order of rows, so equal requests would give other sums and other figures."""
    shuffling, loose = {"group_by", "unique", "join"}, []
    for path in MODULES:
        for outer in ast.walk(ast.parse(path.read_text())):
            sorts = isinstance(outer, ast.Call) and ast.unparse(outer.func) == "sorted"
            for node in ast.iter_child_nodes(outer):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or sorts:
                    continue
                named, of = {keyword.arg for keyword in node.keywords}, ast.unparse(node.func.value)
                of_rows = node.func.attr in shuffling and of != "np" and (node.func.attr != "join" or "on" in named)
                if of_rows and "maintain_order" not in named:
                    loose.append(f"{path.name}:{node.lineno}")
    assert loose == []


FACES = sorted(path.parent for path in ROOT.rglob("__init__.py") if "lazy_loader" in path.read_text())


@pytest.mark.parametrize("package", FACES, ids=lambda p: p.name)
def test_every_public_name_can_be_had(package: Path):
    module = import_module(".".join(("hyperfactor", *package.relative_to(ROOT).parts)))
    assert dir(module)
    for name in dir(module):
        found = getattr(module, name)
        assert found.__name__ in (name, f"{module.__name__}.{name}")


FACE = """
import sys
import hyperfactor
import hyperfactor.cli
import hyperfactor.measures, hyperfactor.factors, hyperfactor.images
import hyperfactor.store, hyperfactor.runs, hyperfactor.subjects
print(*({"torch", "polars", "numpy", "yaml", "pydantic"} & set(sys.modules)))
print(hyperfactor.measures.geometry.clifford_torus(3).shape)
print(hyperfactor.factors.Region, hyperfactor.Factor("x", 0, 1).high)
print("torch" in sys.modules)
print(hyperfactor.experiments.EXPERIMENTS["torus"].name, hyperfactor.percolation.overlap(0, 1), hyperfactor.Generator)
"""


def test_importing_the_package_imports_nothing_heavy_and_all_of_it_is_there():
    done = subprocess.run([sys.executable, "-c", FACE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "",
        "(3, 3, 4)",
        "<class 'hyperfactor.factors.regions.Region'> 1",
        "False",
        "torus 1.0 <class 'hyperfactor.generators.base.Generator'>",
    ]


def code(path: Path) -> list[ast.AST]:
    """The syntax nodes of a file, without its docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return list(ast.walk(tree))


def mentions(path: Path, wanted: str) -> list[str]:
    """The strings in a file's code, and the names that it imports, that match a whole pattern."""
    words = []
    for node in code(path):
        match node:
            case ast.Constant(value=str(word)) | ast.alias(name=word):
                words.append(word)
            case _:
                pass
    return [word for word in words if re.fullmatch(wanted, word)]


@pytest.mark.parametrize(
    ("wanted", "at_home"),
    [
        (
            "x|y|xy",
            (
                "images/gaussian.py",
                "images/shapes.py",
                "images/digits.py",
                "images/dsprites.py",
                "experiments/",
                "figures/",
                "explorer/",  # of the axes of plots
            ),
        ),
        (".*UNet.*", ("networks/", "generators/")),
        ("Bump|Sos|Gaussian|Shapes", ("images/", "factors/__init__.py", "experiments/", "percolation/")),
    ],
    ids=["x and y", "UNet", "families"],
)
def test_words_of_a_room_stay_in_it(wanted: str, at_home: tuple[str, ...]):
    found = {
        name: words
        for path in MODULES
        if not (name := str(path.relative_to(ROOT))).startswith(at_home) and (words := mentions(path, wanted))
    }
    assert not found


def test_no_picture_has_to_be_square_or_grey():
    for path in MODULES:
        assert not re.search(r"1, size, size|1, N, N", path.read_text()) or path.parent.name == "images", path


def test_no_function_but_the_training_loop_is_over_45_lines():
    """Docstrings do not count."""
    found = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                said = isinstance(first, ast.Expr) and ast.get_docstring(node) is not None
                lines = (node.end_lineno or 0) - node.lineno + 1
                lines -= (first.end_lineno or 0) - first.lineno + 1 if said else 0
                if lines > 45:
                    found[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert set(found) == {"training/loop.py:fit"}


def test_no_room_has_18_percent_of_the_lines():
    lines = {}
    for path in MODULES:
        room = path.relative_to(ROOT).parts[0]
        lines[room] = lines.get(room, 0) + len(path.read_text().splitlines())
    total = sum(lines.values())
    assert {room: count for room, count in lines.items() if count >= 0.18 * total} == {}
