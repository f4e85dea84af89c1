"""Recipes: two files; whatever is wrong with them is one line that names the key, the file and the way out."""

import json
import pickle
import sys
import textwrap
from pathlib import Path

import pytest

from audiornn.errors import CorpusError, SettingsError
from audiornn.features import FeatureSettings
from audiornn.listen.search_graph import DecodingSettings
from audiornn.recipe import Recipe, expand_overrides, find_recipe, load_recipe, packaged_recipes, recipe_fingerprint
from audiornn.settings import AugmentSettings, NetworkSettings, TrainingSettings
from audiornn.vocabulary import VocabularySettings
from tests.conftest import write_recipe

PLAIN = "def prepare(corpus_dir):\n    return {}\n"
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def recipe_of(tmp_path):
    """Writes a recipe folder from the text of its two files."""

    def write(toml="", prepare=PLAIN, name="mine"):
        return write_recipe(tmp_path / name, prepare=textwrap.dedent(prepare), toml=textwrap.dedent(toml))

    return write


def refused(folder, *said, overrides=()):
    with pytest.raises(SettingsError) as caught:
        load_recipe(folder, overrides)
    message = str(caught.value)
    assert "\n" not in message
    for word in said:
        assert word in message, message
    return message


# --- what is right ---


def test_an_empty_recipe_is_the_defaults(recipe_of):
    recipe = load_recipe(recipe_of())
    assert recipe == Recipe(name="mine")
    assert (recipe.task, recipe.features, recipe.model) == ("transcribe", FeatureSettings(), NetworkSettings())
    assert (recipe.augment, recipe.training) == (AugmentSettings(), TrainingSettings())


def test_every_section_is_read(recipe_of):
    toml = """
        task = "label"
        licence = "CC0"
        shared_speakers = true
        [features]
        sample_rate = 8000
        fmax = 3800
        [vocabulary]
        unit = "word"
        [model]
        cell = "gru"
        [augment]
        gain = 3
        [training]
        seed = 7
    """
    recipe = load_recipe(recipe_of(toml))
    assert (recipe.task, recipe.licence, recipe.shared_speakers) == ("label", "CC0", True)
    assert recipe.features == FeatureSettings(sample_rate=8000, fmax=3800.0)
    assert isinstance(recipe.features.fmax, float)
    assert (recipe.vocabulary.unit, recipe.model.cell, recipe.augment.gain, recipe.training.seed) == (
        "word",
        "gru",
        3.0,
        7,
    )


def test_json_round_trip(recipe_of):
    prepare = "def prepare(corpus_dir, *, words: int = 2): return {}\n"
    toml = '[corpus]\nwords = 3\n[features]\nfmax = 3000.0\n[training]\ndevice = "cpu"\n'
    recipe = load_recipe(recipe_of(toml, prepare))
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_json_of_another_version_is_refused():
    entry = Recipe(name="mine").to_json()
    entry["features"]["n_wavelets"] = 3
    with pytest.raises(SettingsError, match="n_wavelets"):
        Recipe.from_json(entry)


@pytest.mark.parametrize("name", ["yesno", "digits", "speechcommands", "spoken_digits"])
def test_packaged_recipes_load(name):
    recipe = load_recipe(packaged_recipes() / name)
    assert recipe.name == name
    assert recipe.licence
    assert (packaged_recipes() / name / "README.md").is_file()


def test_packaged_recipes_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "recipes/digits", "recipes/digits/"):
        assert find_recipe(name) == (packaged_recipes() / "digits", True)


def test_a_folder_here_goes_before_the_packaged_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_recipe(tmp_path / "recipes" / "digits", prepare=PLAIN, toml="")
    assert find_recipe("recipes/digits") == (Path("recipes/digits"), False)


def test_an_unknown_recipe_is_named_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"recipes/digit: no such recipe folder; did you mean 'digits'\?.*yesno"):
        find_recipe("recipes/digit")
    with pytest.raises(SettingsError):
        find_recipe("/nowhere/digits")


# --- keys and types ---


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("tsak = 'label'", ["'tsak'", "did you mean 'task'?"]),
        ("[feature]\nn_mfcc = 3", ["'feature'", "did you mean 'features'?"]),
        ("[features]\nn_mfc = 3", ["features.n_mfc", "did you mean 'n_mfcc'?"]),
        ("[model]\nunits = 3", ["model.units", "n_units"]),
        ("[training]\nepoch = 3", ["training.epoch", "epochs"]),
        ("[augment]\nqqqqqq = 3", ["augment.qqqqqq"]),
        ("[vocabulary]\nunits = 'word'", ["vocabulary.units", "unit"]),
        ("name = 'other'", ["'name'"]),
        ("folder = 'other'", ["'folder'"]),
        ("[features]\nn_mfcc = '13'", ["features.n_mfcc", "'13'", "int", "str"]),
        ("[features]\nn_mfcc = 13.0", ["features.n_mfcc", "int", "float"]),
        ("[features]\nn_mfcc = true", ["features.n_mfcc", "int", "bool"]),
        ("[features]\nfmin = true", ["features.fmin", "float", "bool"]),
        ("[features]\nfmax = 'high'", ["features.fmax", "float", "str"]),
        ("[model]\nbidirectional = 1", ["model.bidirectional", "bool", "int"]),
        ("[model]\ncell = 'lstn'", ["model.cell", "'lstn'", "'gru'", "did you mean 'lstm'?"]),
        ("[model]\ncell = 3", ["model.cell", "'lstm'"]),
        ("[model]\ncell = ['lstm']", ["model.cell", "'lstm'"]),
        ("task = 'transcibe'", ["task", "did you mean 'transcribe'?"]),
        ("licence = 3", ["licence", "str", "int"]),
        ("shared_speakers = 'yes'", ["shared_speakers", "bool"]),
        ("features = 3", ["[features]", "table"]),
        ("corpus = 3", ["[corpus]", "table"]),
        ("[features]\nn_mfcc = 80", ["n_mfcc = 80", "n_mels"]),
        ("[features]\nfmin = nan", ["fmin"]),
        ("[model]\nn_layers = 0", ["model.n_layers = 0", "at least 1"]),
        ("[model]\ndropout = 1.0", ["model.dropout"]),
        ("[model]\nmemory = 2", ["model.memory = 2", "at least 3"]),
        ("[model]\ncell = 'rnn'\nmemory = 100", ["model.memory = 100", "'lstm', 'gru'"]),
        ("[model]\nstride = 2", ["front", "stride = 2"]),
        ("[augment]\ngain = -1.0", ["augment.gain"]),
        ("[augment]\ngain = inf", ["augment.gain = inf must be at least 0 and finite"]),
        ("[augment]\nleast_snr = -inf", ["augment.least_snr = -inf must be finite"]),
        ("[training]\nweight_decay = inf", ["training.weight_decay = inf must be at least 0 and finite"]),
        ("[augment]\nband_mask_share = 1.5", ["augment.band_mask_share"]),
        ("[training]\nlearning_rate = 0.0", ["training.learning_rate"]),
        ("[training]\nlearning_rate = inf", ["training.learning_rate"]),
        ("[training]\nlearning_rate = nan", ["training.learning_rate"]),
        ("[training]\nwarmup = 1.0", ["training.warmup"]),
        ("[training]\nepochs = 0", ["training.epochs"]),
        ("[training]\nweight_noise = -0.1", ["training.weight_noise"]),
        ("[training]\nmiddle_ctc = 1.0", ["training.middle_ctc"]),
        ("[training]\nconsistency = -0.1", ["training.consistency", "at least 0"]),
        ("task = 'regress'\n[training]\nconsistency = 0.2", ["training.consistency", "'transcribe'"]),
        ("task = 'classify'\n[training]\nmiddle_ctc = 0.3", ["training.middle_ctc", "'transcribe'"]),
        ("[model]\nn_layers = 1\n[training]\nmiddle_ctc = 0.3", ["training.middle_ctc", "two layers"]),
        ("task = 'spot'\n[training]\nlabel_smoothing = 0.1", ["training.label_smoothing = 0.1", "'classify'"]),
        ("task = 'transcribe'\n[training]\nbalanced = true", ["training.balanced", "'classify' or 'label'"]),
        (
            "task = 'label'\n[vocabulary]\nseveral = true\n[training]\nbalanced = true",
            ["training.balanced", "evaluate --tune"],
        ),
        ("task = 'regress'\n[augment]\nmixup = 0.5", ["augment.mixup = 0.5", "'classify'"]),
        ("task = 'transcribe'\n[augment]\ntrim = 0.5", ["augment.trim = 0.5", "'transcribe'"]),
        ("task = 'label'\n[model]\npooling = 'last'", ["model.pooling = 'last'", "'classify'"]),
        ("task = 'classify'\n[spotting]\ndelay = 0.1", ["spotting.delay = 0.1", "'spot'"]),
        ("[training]\nseed = -1", ["training.seed"]),
        ("[training]\ndevice = 'gpu'", ["training.device", "'cuda'"]),
        ("[training]\nepochs = ]\n", ["not valid TOML", "line 2"]),
        ("task = 'label'\ntask = 'label'", ["not valid TOML"]),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_file(recipe_of, toml, said):
    folder = recipe_of(toml)
    refused(folder, str(folder / "recipe.toml"), *said)


def test_a_recipe_saved_by_notepad_is_read(recipe_of):
    folder = recipe_of()
    for name, text in (("recipe.toml", 'task = "label"\n'), ("prepare.py", PLAIN)):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + textwrap.dedent(text).replace("\n", "\r\n").encode())
    assert load_recipe(folder).task == "label"


def test_toml_that_is_not_text(recipe_of):
    folder = recipe_of()
    (folder / "recipe.toml").write_bytes(b"\xff\xfe\x00")
    refused(folder, "recipe.toml", "not valid TOML")


@pytest.mark.parametrize("missing", ["prepare.py", "recipe.toml"])
def test_a_missing_file_is_named(recipe_of, missing):
    folder = recipe_of()
    (folder / missing).unlink()
    refused(folder, str(folder / missing), "missing")


# --- --set ---


@pytest.mark.parametrize(
    ("override", "place", "value"),
    [
        ("training.epochs=5", "training.epochs", 5),
        ("training.epochs = 5", "training.epochs", 5),
        ("training.learning_rate=1e-3", "training.learning_rate", 1e-3),
        ("training.learning_rate=1", "training.learning_rate", 1.0),
        ("model.cell=gru", "model.cell", "gru"),
        ("model.cell='gru'", "model.cell", "gru"),
        ('model.cell="gru"', "model.cell", "gru"),
        ("model.bidirectional=false", "model.bidirectional", False),
        ("features.fmax=3000", "features.fmax", 3000.0),
        ("task=label", "task", "label"),
        ("licence=CC BY 4.0", "licence", "CC BY 4.0"),
        ("licence=a=b", "licence", "a=b"),
        ("shared_speakers=true", "shared_speakers", True),
    ],
)
def test_overrides(recipe_of, override, place, value):
    recipe = load_recipe(recipe_of("[training]\nepochs = 3"), [override])
    for name in place.split("."):
        recipe = getattr(recipe, name)
    assert recipe == value
    assert type(recipe) is type(value)


def test_the_last_override_wins(recipe_of):
    recipe = load_recipe(recipe_of(), ["training.epochs=5", "training.epochs=6", "training.seed=2"])
    assert (recipe.training.epochs, recipe.training.seed) == (6, 2)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.epochs", ["training.epochs", "key=value"]),
        ("=5", ["=5", "key=value"]),
        ("training.=5", ["key=value"]),
        ("training.epoch=5", ["training.epoch", "epochs"]),
        ("trainin.epochs=5", ["trainin", "training"]),
        ("epochs=5", ["epochs"]),
        ("training.epochs=five", ["training.epochs", "'five'", "int"]),
        ("training.epochs=5.5", ["training.epochs", "int"]),
        ("training.epochs=", ["training.epochs", "int"]),
        ("model.cell=lst", ["model.cell", "lstm"]),
        ("features=5", ["features"]),
        ("corpus=5", ["corpus"]),
        ("corpus.words=5", ["corpus.words"]),
        ("model.n_units=0", ["n_units"]),
        ("name=other", ["name"]),
    ],
)
def test_a_wrong_override_is_named(recipe_of, override, said):
    refused(recipe_of(), *said, overrides=[override])


def test_an_override_of_a_table_that_is_none(recipe_of):
    refused(recipe_of("features = 3"), "features", overrides=["features.n_mfcc=13"])


# --- arguments of prepare ---

ARGUED = """
    def prepare(corpus_dir, *, held_out: str = "", n: int = 3, share: float = 0.5, only: str | None = None):
        return {"train": [held_out, n, share, only]}
"""


def prepared_with(folder, *overrides):
    return load_recipe(folder, overrides).prepare(Path())["train"]


def test_corpus_keys_are_prepares_arguments(recipe_of):
    folder = recipe_of('[corpus]\nheld_out = "theo"\nshare = 1', ARGUED)
    assert prepared_with(folder) == ["theo", 3, 1.0, None]
    assert prepared_with(folder, "corpus.n=4", "corpus.held_out=jackson") == ["jackson", 4, 1.0, None]
    assert prepared_with(folder, "corpus.only=yes") == ["theo", 3, 1.0, "yes"]


@pytest.mark.parametrize("word", ["7", "true", "1e3", "2024-01-01", "theo", "'theo'"])
def test_a_bare_word_is_a_word_where_a_word_is_wanted(recipe_of, word):
    assert prepared_with(recipe_of("", ARGUED), f"corpus.held_out={word}")[0] == word.strip("'")


@pytest.mark.parametrize("word", [r"^(?P<speaker>\w+)_", "Ä", "\N{GRINNING FACE}", 'say "hi"', "7"])
def test_words_in_a_file_of_settings_are_taken_as_they_are(recipe_of, tmp_path, word):
    settings = tmp_path / "more.toml"
    settings.write_text(f"[corpus]\nheld_out = '''{word}'''\n", encoding="utf-8")
    assert prepared_with(recipe_of("", ARGUED), str(settings))[0] == word


def test_a_recipe_s_code_is_loaded_once_and_again_when_it_changes(recipe_of):
    code = ARGUED + "\n    class Helper:\n        pass\n"
    folder = recipe_of("", code)
    loaded = load_recipe(folder)
    name = f"audiornn_recipe_{folder.name}"
    helper = sys.modules[name].Helper
    loaded.prepare(Path())
    assert sys.modules[name].Helper is helper
    assert pickle.loads(pickle.dumps(helper())).__class__ is helper
    (folder / "prepare.py").write_text("def prepare(corpus_dir): return {'train': ('changed' for _ in range(2))}")
    assert prepared_with(folder) == ["changed"] * 2


def test_a_corpus_key_can_be_remembered(recipe_of):
    """Whatever TOML makes of a bare value, a date for one, must survive prepared.json."""
    recipe = load_recipe(recipe_of("", ARGUED), ["corpus.only=2024-01-01"])
    assert recipe_fingerprint(recipe)
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("heldout = 'theo'", ["corpus.heldout", "did you mean 'held_out'?", "n, share"]),
        ("n = 'three'", ["corpus.n", "int"]),
        ("n = 2.5", ["corpus.n", "int"]),
        ("held_out = 3", ["corpus.held_out", "str"]),
    ],
)
def test_a_wrong_corpus_key_is_named(recipe_of, toml, said):
    folder = recipe_of(f"[corpus]\n{toml}", ARGUED)
    refused(folder, str(folder / "recipe.toml"), *said)


# --- prepare.py ---


@pytest.fixture(params=["absolute", "relative"])
def broken_recipe(request, recipe_of, monkeypatch):
    """A recipe of the given prepare.py, named by an absolute path or as a user in its parent folder names it."""

    def write(prepare):
        folder = recipe_of("", prepare)
        if request.param == "absolute":
            return folder
        monkeypatch.chdir(folder.parent)
        return Path(folder.name)

    return write


@pytest.mark.parametrize(
    ("prepare", "line", "said"),
    [
        ("def prepare(corpus_dir):\n    return {", 2, "SyntaxError"),
        ("import no_such_module_at_all\n\ndef prepare(corpus_dir): ...\n", 1, "no_such_module_at_all"),
        ("x = 1\ny = x / 0\n\ndef prepare(corpus_dir): ...\n", 2, "division"),
        ("def prepare(corpus_dir):\nreturn 3\n", 2, "IndentationError"),
    ],
)
def test_a_prepare_that_does_not_load_is_one_line_with_its_place(broken_recipe, prepare, line, said):
    folder = broken_recipe(prepare)
    with pytest.raises((CorpusError, SettingsError)) as caught:
        load_recipe(folder)
    message = str(caught.value)
    assert f"{folder / 'prepare.py'}, line {line}:" in message
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        ("    raise ValueError('only 12\\nfiles')", 2, "ValueError: only 12 files"),
        ("    return open(corpus_dir / 'none.txt')", 2, "none.txt"),
        ("    table = {}\n    return table['train']", 3, "KeyError: 'train'"),
        ("    import json\n    return json.loads('{')", 3, "JSONDecodeError"),
        ("    assert 1 > 2, 'counts are off'", 2, "counts are off"),
    ],
)
def test_a_prepare_that_raises_is_one_line_with_its_place(broken_recipe, body, line, said):
    folder = broken_recipe(f"def prepare(corpus_dir):\n{body}\n")
    recipe = load_recipe(folder)
    with pytest.raises(CorpusError) as caught:
        recipe.prepare(Path())
    message = str(caught.value)
    assert f"{folder / 'prepare.py'}, line {line}:" in message
    assert said in message
    assert "\n" not in message


def test_a_prepare_that_says_it_itself_is_not_said_twice(recipe_of):
    prepare = """
        from audiornn.errors import CorpusError

        def prepare(corpus_dir):
            raise CorpusError(f"{corpus_dir}: 3 files, expected 60")
    """
    with pytest.raises(CorpusError, match=r"^there: 3 files, expected 60$"):
        load_recipe(recipe_of("", prepare)).prepare(Path("there"))


@pytest.mark.parametrize("prepare", ["", "def prepar(corpus_dir): ...\n", "prepare = 3\n"])
def test_a_module_without_prepare_is_named(recipe_of, prepare):
    refused(recipe_of("", prepare), "prepare.py", "prepare(corpus_dir)")


def test_a_prepare_may_use_dataclasses(recipe_of):
    prepare = """
        from __future__ import annotations

        from dataclasses import dataclass

        @dataclass
        class Line:
            text: str

        def prepare(corpus_dir):
            return {"train": [Line("x").text]}
    """
    assert load_recipe(recipe_of("", prepare)).prepare(Path()) == {"train": ["x"]}


def test_loading_a_recipe_writes_nothing_beside_it(recipe_of, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder = recipe_of()
    load_recipe(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["prepare.py", "recipe.toml"]


def test_a_changed_prepare_is_taken_at_once(recipe_of, monkeypatch):
    """Not a compiled one of the same second and size."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for answer in ("one", "two"):
        folder = recipe_of("", f"def prepare(corpus_dir): return '{answer}'\n")
        assert load_recipe(folder).prepare(Path()) == answer


def test_obtain_is_optional(recipe_of, tmp_path):
    assert not load_recipe(recipe_of()).makes_corpus
    making = PLAIN + "def obtain(corpus_dir, *, jobs):\n    (corpus_dir / 'a').write_text(str(jobs))\n"
    recipe = load_recipe(recipe_of("", making, name="making"))
    assert recipe.makes_corpus
    recipe.obtain(tmp_path, jobs=2)
    assert (tmp_path / "a").read_text() == "2"


# --- the fingerprint ---


@pytest.mark.parametrize(
    ("override", "changes"),
    [
        ("features.n_mfcc=13", True),
        ("task=classify", True),
        ("vocabulary.unit=word", True),
        ("shared_speakers=true", True),
        ("model.n_units=32", False),
        ("training.epochs=3", False),
        ("augment.gain=0", False),
        ("licence=CC0", False),
    ],
)
def test_the_fingerprint_is_what_prep_depends_on(recipe_of, override, changes):
    folder = recipe_of()
    before, after = (recipe_fingerprint(load_recipe(folder, overrides)) for overrides in ([], [override]))
    assert (before != after) == changes


def test_the_fingerprint_knows_the_stride(recipe_of):
    folder = recipe_of("[model]\nfront = 'stack'")
    prints = {recipe_fingerprint(load_recipe(folder, [f"model.stride={n}"])) for n in (1, 2, 3)}
    assert len(prints) == 3


# --- the packaged recipes meet folders that are not their corpus ---


@pytest.mark.parametrize("name", ["yesno", "digits", "speechcommands"])
def test_a_corpus_with_too_few_files_is_counted(tmp_path, name):
    recipe = load_recipe(packaged_recipes() / name)
    with pytest.raises(CorpusError) as caught:
        recipe.prepare(tmp_path)
    assert "\n" not in str(caught.value)
    assert "prepare.py, line" not in str(caught.value)  # said by the recipe itself
    assert str(tmp_path) in str(caught.value)


def test_the_recipes_travel_in_the_wheel():
    assert packaged_recipes().is_dir()
    assert 'recipes = "audiornn/recipes"' in (REPOSITORY / "pyproject.toml").read_text()


def test_a_file_of_settings_stands_for_all_of_them(tmp_path, recipe_of):
    folder = recipe_of()
    file = tmp_path / "other.toml"
    file.write_text(
        'licence = "mine"\ntask = "label"\n[model]\ncell = "gru"\ndropout = 0.0\n'
        "[training]\nclip_norm = inf\nbalanced = true\n"
    )
    loaded = load_recipe(folder, [str(file), "model.dropout=0.5"])
    assert (loaded.licence, loaded.model.cell, loaded.model.dropout) == ("mine", "gru", 0.5)
    assert (loaded.training.clip_norm, loaded.training.balanced) == (float("inf"), True)
    with pytest.raises(SettingsError, match="no such file"):
        load_recipe(folder, [str(tmp_path / "none.toml")])


def test_a_packaged_recipe_s_file_of_settings_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = expand_overrides([str(packaged_recipes() / "digits" / "started.toml")])
    assert expected
    assert expand_overrides(["recipes/digits/started.toml"]) == expand_overrides(["digits/started.toml"]) == expected
    (tmp_path / "recipes" / "digits").mkdir(parents=True)
    (tmp_path / "recipes" / "digits" / "started.toml").write_text("[training]\nepochs = 1\n")
    assert expand_overrides(["recipes/digits/started.toml"]) == ["training.epochs=1"]  # one's own comes first
    for missing in ("recipes/digits/startled.toml", "mine/digits/started.toml", "../digits/started.toml"):
        with pytest.raises(SettingsError, match="no such file"):
            expand_overrides([missing])


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (NetworkSettings, {"cell": "lsmt"}),
        (TrainingSettings, {"precision": "fp16"}),
        (FeatureSettings, {"normalisation": "gobal"}),
        (VocabularySettings, {"punctuation": "drop"}),
        (DecodingSettings, {"decoder": "bean"}),
    ],
)
def test_a_word_that_is_none_of_the_choices_is_refused_in_python_too(kind, wrong):
    with pytest.raises(SettingsError, match=f"{next(iter(wrong))} = .* must be one of "):
        kind(**wrong)
