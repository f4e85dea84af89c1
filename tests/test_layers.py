"""Imports point one way: ground ← corpus ← train; ground ← listen ← evaluate; cli on top.

Read from the syntax trees.
"""

import ast
import sys
from pathlib import Path

import pytest

import audiornn
from audiornn.verbs import failures

ROOT = Path(audiornn.__file__).parent
GROUND = {
    "errors",
    "files",
    "wav_stream",
    "containers",
    "audio",
    "features",
    "text",
    "lexicon",
    "vocabulary",
    "settings",
    "recipe",
}
GROUND |= {"model_file", "cores"}

#: What each layer may import of the others; within itself it may import what it likes, but never in a circle.
ALLOWED = {
    "ground": set(),
    "corpus": {"ground"},
    "listen": {"ground"},
    "evaluate": {"ground", "listen", "corpus.manifest", "corpus.segment_checks", "corpus.tracks"},
    "train": {"ground", "corpus", "evaluate", "listen.decoding", "listen.keywords", "listen.results", "listen.words"},
    "serve": {"ground", "listen"},
    "cli": {"ground", "corpus", "listen", "evaluate", "train", "serve"},
}

#: What each layer may import of the world, at the top of a module and inside a function.
BASE = {"numpy", "soundfile"}
WORLD = {
    "ground": (BASE, {"soxr", "onnxruntime", "librosa", "tomli"}),
    "corpus": (BASE, {"espeakng_loader", "librosa", "matplotlib", "parselmouth", "pyarrow", "tqdm"}),
    "listen": ({"numpy", "onnxruntime"}, {"sounddevice"}),
    "evaluate": ({"numpy", "scipy"}, {"jiwer", "matplotlib", "mir_eval", "onnx", "pyannote"}),
    "train": ({"numpy", "torch", "onnx", "safetensors"}, {"tqdm", "onnxruntime", "librosa", "soundfile"}),
    "serve": ({"numpy"}, {"fastapi", "starlette", "uvicorn"}),
    "cli": (set(), {"tqdm"}),
}

#: The one place where the listening side knows of the training half: features.engine = "librosa", asked for by name.
EXCEPTIONS = {("features", "librosa")}
TRAINING = {
    "torch",
    "torchaudio",
    "librosa",
    "matplotlib",
    "onnx",
    "safetensors",
    "jiwer",
    "tensorboard",
    "joblib",
    "pooch",
}


def modules():
    """Every module of the package by its name below it: `listen.decoding`, `cli`, and `` for the package itself."""
    found = {}
    for file in sorted(ROOT.rglob("*.py")):
        if "recipes" in file.relative_to(ROOT).parts:
            continue  # in a wheel they lie inside the package; they are the user's code
        parts = list(file.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(file.read_text(encoding="utf-8"))
    return found


MODULES = modules()
MODULES_BY_PATH = {f"audiornn.{name}" for name in MODULES}


def imports_of(tree):
    """Pairs of (module named, whether at the top of the file); what only type checkers see counts as not at the top."""

    def visit(node, at_top):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, at_top) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, "imports are absolute"
                yield child.module, at_top
                yield from ((f"{child.module}.{alias.name}", at_top) for alias in child.names)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield from visit(child, False)
            else:
                only_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                yield from visit(child, at_top and not only_types)

    yield from visit(tree, True)


def ours(tree, *, top_only=False):
    """The modules of this package that a module imports."""
    named = {name for name, at_top in imports_of(tree) if at_top or not top_only}
    return {
        name.removeprefix("audiornn").removeprefix(".")
        for name in named
        if name.partition(".")[0] == "audiornn" and name.removeprefix("audiornn").removeprefix(".") in MODULES
    } - {""}


def foreign(tree, *, at_top):
    """What a module imports that is neither ours nor Python's."""
    first = {name.partition(".")[0] for name, top in imports_of(tree) if top == at_top}
    return first - {"audiornn", "__future__"} - set(sys.stdlib_module_names)


def layer_of(name):
    first = name.partition(".")[0]
    if first in GROUND:
        return "ground"
    return {"": "cli", "__main__": "cli", "verbs": "cli"}.get(first, first)


def test_every_module_belongs_to_a_layer():
    assert {layer_of(name) for name in MODULES} <= set(ALLOWED)
    assert set(MODULES) >= GROUND
    for name in ("utils", "common", "helpers", "base"):
        assert not [module for module in MODULES if name in module.split(".")]


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_point_one_way(name):
    layer = layer_of(name)
    for imported in ours(MODULES[name]):
        other = layer_of(imported)
        package_alone = "." not in imported and other not in ("ground", "cli")  # `from audiornn.listen import x`
        allowed = other == layer or other in ALLOWED[layer] or imported in ALLOWED[layer]
        assert allowed or (package_alone and any(a.startswith(f"{other}.") for a in ALLOWED[layer])), (
            f"{name} ({layer}) imports {imported} ({other})"
        )


def test_listening_never_sees_the_other_half():
    """Not by itself, and not through anything it imports."""
    seen, todo = set(), [name for name in MODULES if layer_of(name) == "listen"]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += ours(MODULES[name])
    assert {layer_of(name) for name in seen} == {"listen", "ground"}
    for name in seen:
        at_any_level = foreign(MODULES[name], at_top=True) | foreign(MODULES[name], at_top=False)
        for module in at_any_level & TRAINING:
            assert (name, module) in EXCEPTIONS, f"{name} imports {module}"
        assert not foreign(MODULES[name], at_top=True) & TRAINING


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_each_layer_knows_its_part_of_the_world(name):
    at_top, inside = WORLD[layer_of(name)]
    assert foreign(MODULES[name], at_top=True) <= at_top
    assert foreign(MODULES[name], at_top=False) <= at_top | inside | ({"torch"} if layer_of(name) == "train" else set())


def test_there_is_no_circle():
    graph = {name: ours(tree, top_only=True) - {name} for name, tree in MODULES.items() if name}
    done, path = set(), []

    def visit(name):
        assert name not in path, " → ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for imported in sorted(graph[name]):
                visit(imported)
            done.add(path.pop())

    for name in graph:
        visit(name)


def test_the_front_door_and_the_command_line_import_lazily():
    """What `audiornn --help` pays for."""
    assert ours(MODULES[""], top_only=True) == set()
    verbs = {name for name in MODULES if name.partition(".")[0] == "verbs"}
    for name in {"cli", *verbs}:
        assert ours(MODULES[name], top_only=True) <= {"errors", "files", "cores", *verbs}
    for name in ("", "cli", "errors", "files", "__main__", *verbs):
        assert not foreign(MODULES[name], at_top=True)


def test_the_package_loads_a_recipe_by_its_path_only():
    for name, tree in MODULES.items():
        assert not [module for module, _ in imports_of(tree) if module.partition(".")[0] == "recipes"], name


def test_what_the_layers_need_is_what_the_package_asks_for():
    """The base install lists what listening imports, and nothing that it does not."""
    text = (
        (ROOT.parent / "pyproject.toml").read_text(encoding="utf-8")
        if (ROOT.parent / "pyproject.toml").exists()
        else ""
    )
    if not text:
        pytest.skip("installed without its repository")
    base = text.partition("dependencies = [")[2].partition("]")[0]
    listed = {line.strip().strip('",').partition(">")[0] for line in base.splitlines() if line.strip()}
    used = set()
    for name, tree in MODULES.items():
        if layer_of(name) in ("ground", "listen"):
            used |= foreign(tree, at_top=True) | foreign(tree, at_top=False)
    assert used - {"librosa", "sounddevice"} == listed  # each in an extra
    evaluating = text.partition("evaluate = [")[2].partition("\n]")[0]
    extra = {line.strip().strip('"').partition(">")[0].partition(".")[0] for line in evaluating.splitlines()[1:]}
    used = set()
    for name, tree in MODULES.items():
        if layer_of(name) == "evaluate":
            used |= foreign(tree, at_top=True) | foreign(tree, at_top=False)
    assert used - listed - {"onnx"} == extra == set(failures._OF_EVALUATING)  # --tune changes a model file


def exported(tree):
    """The names in a module's `__all__`; None where it has none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return None


def test_what_one_module_takes_of_another_is_offered_there():
    offered = {f"audiornn.{name}": names for name, tree in MODULES.items() if (names := exported(tree)) is not None}
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in offered:
                taken = {alias.name for alias in node.names if f"{node.module}.{alias.name}" not in MODULES_BY_PATH}
                assert taken <= offered[node.module], f"{name} takes {taken - offered[node.module]} of {node.module}"
