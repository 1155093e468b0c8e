"""Structure: imports, declarations and explanations."""

import ast
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import errors, models
from tests.imports import imported, pipeline_but_languages

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "pipeline").rglob("*.py"))
HEAVY = ("torch", "gradio", "sqlalchemy", "transformers", "ray", "fsspec")


def loaded_modules(code: str) -> set[str]:
    """The modules that a clean process has loaded after running `code`."""
    script = f"import json, sys\n{code}\nprint(json.dumps([*sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def loaded(code: str) -> set[str]:
    """The top-level ones of them."""
    return {name.partition(".")[0] for name in loaded_modules(code)}


@pytest.mark.parametrize(
    "code",
    [
        "import pipeline",
        "import pipeline.models; assert pipeline.models.cards()",
        "import pipeline.jobs.runner, pipeline.preview, pipeline.__main__",
    ],
)
def test_the_pipeline_is_light_until_a_model_is_loaded(code: str) -> None:
    assert not loaded(code) & {*HEAVY, "db", "ui", "app"}


def test_the_database_imports_nothing_but_the_languages() -> None:
    modules = [path.stem for path in (ROOT / "db").glob("*.py") if not path.stem.startswith("_")]
    code = "\n".join(f"import db.{name}" for name in sorted(modules)) or "import db"
    modules = loaded_modules(code)
    assert not {name.partition(".")[0] for name in modules} & {"gradio", "torch", "ui", "app"}
    assert not pipeline_but_languages(modules)


def names(path: Path) -> set[str]:
    """The top-level modules that the file imports, anywhere in it."""
    return {name.partition(".")[0] for name in imported(path)}


def test_only_one_package_imports_av() -> None:
    video = ROOT / "pipeline" / "video"
    assert all(path.is_relative_to(video) for path in SOURCES if "av" in names(path))


def test_the_pipeline_imports_no_application_package() -> None:
    for path in SOURCES:
        assert not names(path) & {"ui", "db", "app", "gradio", "sqlalchemy", "tests"}, path.name


def test_torch_is_imported_where_a_model_is_loaded_and_not_before() -> None:
    for path in SOURCES:
        # What a model loads, and what frames on a device need.
        if path.parent.name in ("networks", "tensors", "device") or path.stem.startswith("device_"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        imports = {
            alias.name.partition(".")[0]
            for node in ast.walk(top)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert "torch" not in imports, path.name


def test_every_module_has_a_docstring() -> None:
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert not text.strip() or ast.get_docstring(ast.parse(text)), path.name


def test_every_error_is_in_the_documented_tree() -> None:
    raised = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    ]
    assert len(raised) >= 7
    assert errors.__doc__ is not None
    assert all(name in errors.__doc__ for name in raised)
    assert all(issubclass(getattr(errors, name), errors.RecorteError) for name in raised)


def test_every_card_has_all_fields() -> None:
    cards = models.cards()
    assert cards
    for key, card in cards.items():
        assert key == card.key
        assert card.label and card.purpose.endswith(".") and card.licence
        assert card.licence_url.startswith("https://")
        assert card.points or card.box or card.automatic
        assert json.loads(json.dumps(card.to_json()))["key"] == key


# ---------------------------------------------------------------- packages

PACKAGES = [path for name in ("pipeline", "ui", "db") for path in sorted((ROOT / name).rglob("*.py"))]
MODULES = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in PACKAGES}
MOST_LINES = 400
MOST_FILES = 18


def place(module: str) -> str:
    """The package below the top level that holds a module, or the module itself where it stands there."""
    return ".".join(module.split(".")[:2])


def arrows() -> dict[str, set[str]]:
    """For each package the others that its modules import, wherever they do so."""
    imports: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        for name in imported(path):
            target = name if name in MODULES else name.rpartition(".")[0]
            if target in MODULES and place(target) != place(module):
                imports.setdefault(place(module), set()).add(place(target))
    return imports


def test_packages_have_no_circular_imports() -> None:
    graph = graphlib.TopologicalSorter(arrows())
    graph.prepare()  # raises CycleError, which names the circle


def test_packages_and_modules_are_not_too_large() -> None:
    long = {
        name: lines
        for name, path in MODULES.items()
        if (lines := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert not long
    folders = {path.parent for path in PACKAGES if "versions" not in path.parts}
    assert not {f for f in folders if len(list(f.glob("*.py"))) > MOST_FILES}
