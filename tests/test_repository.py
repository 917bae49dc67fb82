"""The address of the repository comes from one constant."""

import tomllib

import pytest

from docs import repository

URL = "https://example.org/someone/vgg_tf"


@pytest.mark.parametrize("name", repository.PLACES)
def test_every_file_has_the_address_of_the_constant(name):
    text = (repository.ROOT / name).read_text()
    assert text == repository.fill(name, text, repository.REPOSITORY), "run docs/repository.py"


@pytest.mark.parametrize("name", repository.PLACES)
def test_an_address_is_written_changed_and_removed(name):
    text = repository.fill(name, (repository.ROOT / name).read_text(), "")
    with_url = repository.fill(name, text, URL)
    assert URL in with_url
    assert repository.fill(name, with_url, URL) == with_url
    assert URL not in repository.fill(name, with_url, "https://example.org/other")
    assert repository.fill(name, with_url, "") == text


def test_the_metadata_of_the_package_stay_valid():
    text = (repository.ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(repository.fill("pyproject.toml", text, URL))["project"]
    assert project["urls"] == {"Repository": URL, "Issues": f"{URL}/issues"}
    assert "onnx" in project["optional-dependencies"]


def test_a_file_without_the_place_is_refused():
    with pytest.raises(ValueError, match=r"mkdocs\.yml must have the line"):
        repository.fill("mkdocs.yml", "", URL)
