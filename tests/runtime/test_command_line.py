"""Every program parses its flags in one way."""

import dataclasses
import json
from importlib import metadata
from typing import Literal

import pytest
import tyro

from vgg_tf import demo, evaluate, export, predict, preflight, stages, transfer, visualize
from vgg_tf import localize as localize_program
from vgg_tf.paper.presets import RECIPES
from vgg_tf.paper.recipes import Recipe, to_json
from vgg_tf.runtime import command_line
from vgg_tf.training import flags as training_flags
from vgg_tf.training.flags import read_recipe


@dataclasses.dataclass(frozen=True)
class Inner:
    """Numbers.

    Attributes:
        rate: Learning rate of the
            first step.
    """

    rate: float = 0.5


@dataclasses.dataclass(frozen=True)
class Outer:
    """A program
    on two lines.

    Attributes:
        name: A name (of
            something).
        kind: One of two.
        numbers: Nested.
    """

    name: str = ""
    kind: Literal["a", "b"] = "a"
    numbers: Inner = dataclasses.field(default_factory=Inner)


GROUPS = {"": ("name",), "number": ("rate", "kind")}


@pytest.mark.parametrize("groups", [None, GROUPS])
@pytest.mark.parametrize(
    "words", [[], ["--rate", "2"], ["--name", "x", "--kind", "b"], ["--rate=1e-3", "--name=y"]]
)
def test_flags_are_those_that_tyro_parses_without_groups(words, groups):
    expected = tyro.cli(Outer, args=words, config=(tyro.conf.OmitArgPrefixes,))
    assert command_line.parse_flags(Outer, words, "x", groups=groups) == expected


def test_defaults_come_from_an_instance():
    default = Outer("x", "b", Inner(3.0))
    assert command_line.parse_flags(Outer, [], "x", default, GROUPS) == default
    found = command_line.parse_flags(Outer, ["--name", "y"], "x", default, GROUPS)
    assert found == dataclasses.replace(default, name="y")


def test_help_has_the_groups_and_breaks_no_sentence(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    with pytest.raises(SystemExit):
        command_line.parse_flags(Outer, ["--help"], "x", None, GROUPS, {"rate": "(by the recipe)"})
    text = capsys.readouterr().out.partition("\n")[2]
    assert "A program on two lines." in text
    assert "A name (of something)." in text
    assert "Learning rate of the first step. (by the recipe)" in text
    assert text.index("--name") < text.index("number options") < text.index("--rate")


def test_a_flag_without_a_group_is_an_error_of_the_program():
    with pytest.raises(ValueError, match="flags without a group: kind"):
        command_line.parse_flags(Outer, [], "x", None, {"": ("name", "rate")})


@pytest.mark.parametrize(
    ("flag", "suggested"),
    [
        ("--lr", "--learning-rate"),
        ("--epoch", "--epochs"),
        ("--learningrate", "--learning-rate"),
        ("--batch", "--batch-size"),
        ("--wd", "--l2"),
        ("--weights=x", "--inherit"),
        ("--batch_sise", "--batch-size"),
        ("--no-flips", "--no-flip"),
    ],
)
def test_a_near_miss_is_answered_by_the_flag_that_was_meant(flag, suggested, capsys):
    with pytest.raises(SystemExit) as caught:
        training_flags.parse(["--data", "nowhere", flag, "1"])
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert f"Did you mean {suggested}" in line


def test_flags_of_every_spelling_that_exists_pass():
    words = ["--learning_rate", "1", "--no-flip", "--flip", "--out=--x", "a", "-1", "--", "-h"]
    command_line.check_words(training_flags.Flags, words, "x")


@pytest.mark.parametrize(
    "main",
    [
        training_flags.parse,
        stages.main,
        evaluate.main,
        predict.main,
        demo.main,
        localize_program.main,
        transfer.main,
        export.main,
        visualize.main,
        preflight.main,
    ],
)
def test_every_program_prints_its_version(main, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("vgg_tf ")


def test_a_clone_that_is_not_installed_has_no_version(monkeypatch):
    def find(name, version=metadata.version):
        if name == "vgg_tf":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", find)
    assert command_line.format_version().startswith("vgg_tf not installed (keras ")


@pytest.mark.parametrize(
    ("main", "words", "message"),
    [
        (predict.main, [], "A network is required. Received: ''. Give a run folder of"),
        (demo.main, [], "A network is required. Received: ''. Give a run folder of"),
        (export.main, [], "A network is required. Received: ''. Give a run folder of"),
        (evaluate.main, [], "At least one network is required. Received: 0. Give a run folder of"),
        (transfer.main, [], "A source of pictures is required. Received: ''. Give a folder,"),
        (localize_program.main, ["predict"], "A run is required. Received: ''. Give a run folder"),
    ],
)
def test_a_program_without_arguments_names_what_it_needs(main, words, message):
    with pytest.raises(ValueError, match=message):
        main(words)


def test_a_recipe_is_read_from_a_run_folder_a_file_or_some_numbers(tmp_path):
    default, paper = RECIPES["cifar"], Recipe(epochs=3, scale=(256, 512))
    whole = tmp_path / "recipe.json"
    whole.write_text(json.dumps({"arch": "vgg11", "recipe": to_json(paper)}))
    assert read_recipe(str(tmp_path), default) == paper
    assert read_recipe(str(whole), default) == paper
    some = tmp_path / "some.json"
    some.write_text('{"epochs": 7, "scale": [32, 40]}')
    expected = dataclasses.replace(default, epochs=7, scale=(32, 40))
    assert read_recipe(str(some), default) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"--config must name .* Received: .*a\.json"),
        ("{", r"a\.json is not valid JSON"),
        ("[1]", r"a\.json must (hold|contain) a JSON object"),
        ('{"epochz": 7}', r"Received: epochz\. Known: epochs, "),
        ('{"epochs": 0}', r"a\.json: --epochs must be at least 1"),
        ('{"epochs": "ten"}', r"a\.json: epochs must be an integer\. Received: 'ten'"),
        ('{"epochs": true}', r"a\.json: epochs must be an integer\. Received: True"),
        ('{"l2": null}', r"a\.json: l2 must be a finite number\. Received: None"),
        ('{"width": Infinity}', r"a\.json: width must be a finite number\. Received: inf"),
        ('{"flip": "no"}', r"a\.json: flip must be true or false\. Received: 'no'"),
        ('{"initializer": 3}', r"a\.json: initializer must be a text in quotes\. Received: 3"),
        ('{"schedule": "wild"}', r"a\.json: --schedule must be one of plateau, .* 'wild'"),
        ('{"cache": ["bytes"]}', r"a\.json: --cache must be one of none, .* \['bytes'\]"),
        ('{"scale": "256,512"}', r"a\.json: scale must be an integer S, or .* '256,512'"),
        ('{"scale": [32, 40, 48]}', r"a\.json: scale must be an integer S, or .* 48\]"),
        ('{"scale": []}', r"a\.json: scale must be an integer S, or a list .* Received: \[\]"),
        ('{"recipe": [1]}', r"a\.json: A recipe must be a JSON object .* Received: \[1\]"),
        ('{"recipe": "cifar"}', r"a\.json: A recipe must be a JSON object .* 'cifar'"),
    ],
)
def test_a_file_that_is_not_a_recipe_is_refused_by_name(text, message, tmp_path):
    path = tmp_path / "a.json"
    if text:
        path.write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_recipe(str(path), Recipe())


@pytest.mark.parametrize(
    ("text", "scale"),
    [("256", (256, 256)), ("[256]", (256, 256)), ("[256, 512]", (256, 512))],
)
def test_a_scale_is_one_or_two_integers_and_a_rate_may_be_an_integer(text, scale, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(f'{{"scale": {text}, "learning_rate": 1}}')
    recipe = read_recipe(str(path), Recipe())
    assert (recipe.scale, recipe.learning_rate) == (scale, 1)


def test_the_recipe_of_config_is_the_default_of_the_flags(tmp_path):
    path = tmp_path / "some.json"
    path.write_text('{"epochs": 7, "dropout": 0.25}')
    flags, _ = training_flags.parse(["--config", str(path), "--dropout", "0.5"])
    assert (flags.numbers.epochs, flags.numbers.dropout) == (7, 0.5)
