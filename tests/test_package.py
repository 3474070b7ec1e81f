"""`chatproto` as a package: its public names, what importing it loads, its metadata."""

import email
import importlib
import importlib.metadata
import re
import runpy
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import chatproto
import chatproto.testing.strategies
from chatproto import _deferred

from .test_purity import loaded_after

ROOT = Path(chatproto.__file__).parents[1]

# Names that are not to change.
PROMISED = [
    "Role",
    "State",
    "ChatConnection",
    "Limits",
    "Login",
    "Logout",
    "Send",
    "Broadcast",
    "Group",
    "Leave",
    "Receive",
    "Invalid",
    "ConnectionClosed",
    "Event",
    "ChatHub",
    "Policy",
    "Deliver",
    "Refuse",
    "Disconnect",
    "ErrorCode",
    "ChatProtocolError",
    "ProtocolError",
    "LocalProtocolError",
    "RemoteProtocolError",
    "ChatBroker",
]


def readme_on_an_index(urls: dict[str, str]) -> str:
    """The README as `hatch_build.py` writes it for the `project.urls`."""
    hook = runpy.run_path(str(ROOT / "hatch_build.py"))["Readme"](str(ROOT), {})
    metadata: dict[str, Any] = {"urls": urls}
    hook.update(metadata)
    text: str = metadata["readme"]["text"]
    return text


@pytest.mark.parametrize("module", [chatproto, chatproto.testing])
def test_all_is_sorted_and_complete(module: ModuleType) -> None:
    names: list[str] = module.__all__
    constants = [name for name in names if name.isupper()]
    others = [name for name in names if not name.isupper() and name[0].isupper()]
    rest = [name for name in names if not name[0].isupper()]
    # The order that ruff keeps: constants, classes, the rest.
    assert names == sorted(constants) + sorted(others) + sorted(rest)
    assert len(names) == len(set(names))
    assert all(hasattr(module, name) for name in names)


def test_all_has_every_name_that_is_imported_now_or_later() -> None:
    public = {
        name
        for module in (chatproto, _deferred)
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public - {"TYPE_CHECKING"} | {"__version__"} == set(chatproto.__all__)


@pytest.mark.parametrize("module", [chatproto, chatproto.testing])
def test_dir_lists_names_that_are_not_loaded_yet(module: ModuleType) -> None:
    assert set(module.__all__) <= set(dir(module))


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(chatproto, "ChatBrocker")
    assert not hasattr(chatproto.testing, "nmaes")


def test_only_strategies_load_hypothesis() -> None:
    loaded = loaded_after("from chatproto.testing import ConnectionPair, judge")
    assert "chatproto.testing.grammar" in loaded
    assert not any(each.partition(".")[0] == "hypothesis" for each in loaded)


def test_all_of_testing_is_all_that_it_defines() -> None:
    defined = {
        name
        for name, value in vars(chatproto.testing).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "").startswith("chatproto.testing.")
    }
    strategies = set(chatproto.testing.strategies.__all__)
    assert defined | strategies == set(chatproto.testing.__all__)


def test_promised_names_are_public() -> None:
    assert set(PROMISED) <= set(chatproto.__all__)


def test_everything_public_is_documented() -> None:
    for module in (chatproto, chatproto.testing):
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type):
                assert value.__doc__
                # What `dataclass` writes when there is no docstring.
                assert not value.__doc__.startswith(f"{name}(")


def test_the_codec_loads_neither_server_nor_client() -> None:
    loaded = loaded_after("from chatproto import ChatConnection, Role, Send")
    assert "chatproto.wire.connection" in loaded
    assert loaded.isdisjoint(
        {"chatproto.routing.hub", "chatproto.server.broker", "chatproto.client.session"}
    )
    assert "chatproto.server.broker" in loaded_after("from chatproto import ChatBroker")


@pytest.mark.parametrize(
    "package", ["chatproto", "chatproto_sync", "chatproto_anyio", "chatproto_pytest"]
)
def test_every_package_is_marked_as_typed(package: str) -> None:
    # As a file: AnyIO may not be installed.
    assert (ROOT / package / "py.typed").is_file()
    if package == "chatproto":
        assert resources.files(package).joinpath("py.typed").is_file()


@pytest.mark.parametrize(
    ("module", "what", "package", "extra"),
    [
        ("chatproto_anyio", "chatproto_anyio needs", "anyio", "anyio"),
        (
            "chatproto.testing.strategies",
            "the strategies of chatproto.testing need",
            "hypothesis",
            "testing",
        ),
    ],
)
def test_import_says_which_extra_is_missing(
    module: str, what: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in [
        each
        for each in sys.modules
        if each.split(".")[: module.count(".") + 1] == module.split(".")
    ]:
        monkeypatch.delitem(sys.modules, each)
    # Python then raises ModuleNotFoundError for it.
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module(module)
    assert caught.value.name == package
    assert str(caught.value) == (
        f"{what} the package {package}: "
        f"pip install 'chatproto-sansio[{extra}]', or '.[{extra}]' in a checkout"
    )


def test_chatproto_depends_on_nothing() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == []
    assert project["optional-dependencies"]["testing"][0].startswith("hypothesis")


def test_the_version_is_that_of_the_distribution() -> None:
    version = importlib.metadata.version("chatproto-sansio")
    assert version == chatproto.__version__, "run .venv/bin/pip install -e '.[dev]' again"


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return folder


def files_of(*folders: str) -> set[str]:
    """The files in some folders of the checkout, without caches."""
    return {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_the_packages_and_the_man_pages(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    name = f"chatproto_sansio-{chatproto.__version__}"
    assert wheel.name == f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
    packages = files_of("chatproto", "chatproto_sync", "chatproto_anyio", "chatproto_pytest")
    pages = {page.removeprefix("docs/man/") for page in files_of("docs/man")}
    metadata = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert {"chatproto/py.typed", "chatproto_sync/py.typed"} < packages
    assert "chatproto.1" in pages
    assert sorted(files) == sorted(
        packages
        | {f"{name}.data/data/share/man/man1/{page}" for page in pages}
        | {f"{name}.dist-info/{each}" for each in metadata}
    )


def test_the_sdist_has_what_builds_and_tests_need(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    name = f"chatproto_sansio-{chatproto.__version__}"
    assert sdist.name == f"{name}.tar.gz"
    with tarfile.open(sdist) as archive:
        files = {member.name.removeprefix(f"{name}/") for member in archive if member.isfile()}
    packages = files_of("chatproto", "chatproto_sync", "chatproto_anyio", "chatproto_pytest")
    assert packages | files_of("tests", "docs", "examples", "fuzz", "benchmarks") <= files
    texts = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"}
    assert (
        texts | {"pyproject.toml", "hatch_build.py", "mkdocs.yml", "Containerfile", "PKG-INFO"}
        <= files
    )
    others = {file for file in files if file.startswith((".venv", ".github", "build", "dist"))}
    assert not others
    assert not {file for file in files if "cache" in file}


def test_what_an_index_shows(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    name = f"chatproto_sansio-{chatproto.__version__}"
    with zipfile.ZipFile(wheel) as archive:
        metadata_text = archive.read(f"{name}.dist-info/METADATA").decode()
    metadata = email.message_from_string(metadata_text)
    assert metadata["Name"] == "chatproto-sansio"
    assert metadata["Version"] == chatproto.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Description-Content-Type"] == "text/markdown"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata.get_payload() == readme_on_an_index(project["urls"])
    assert metadata.get_all("Project-URL")
    # Whoever installs it without an extra gets nothing else.
    requirements = metadata.get_all("Requires-Dist", [])
    assert all("extra ==" in requirement for requirement in requirements)


@pytest.mark.parametrize(
    ("urls", "tutorial"),
    [
        ({}, "the tutorial (`docs/tutorial.md`)"),
        (
            {"Repository": "https://host.example/chat"},
            "[the tutorial](https://host.example/chat/blob/HEAD/docs/tutorial.md)",
        ),
    ],
)
def test_no_link_leads_nowhere_on_an_index(urls: dict[str, str], tutorial: str) -> None:
    text = readme_on_an_index(urls)
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    assert all(link.startswith("https://") for link in links)
    assert tutorial in text
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") == readme.count("\n")


def test_the_groups_have_the_requirements_of_the_extras() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = pyproject["project"]["optional-dependencies"]
    for name in ("dev", "docs"):
        assert pyproject["dependency-groups"][name] == [f"chatproto-sansio[{name}]"]
        assert name in extras


def release_notes(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / ".ci" / "release_notes.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_the_changelog_has_the_notes_of_this_version() -> None:
    run = release_notes()
    assert (run.returncode, run.stderr) == (0, "")
    assert "\n### Added\n" in run.stdout
    assert "\n## " not in run.stdout


def test_only_the_tag_of_this_version_is_released() -> None:
    run = release_notes("v0.0.1")
    assert run.returncode == 1
    assert run.stderr == (
        f"the tag is v0.0.1, but the version in chatproto/_version.py is {chatproto.__version__}\n"
    )


@pytest.mark.parametrize(
    ("heading", "date"),
    [("## [2.0.0] - 2030-01-31", "2030-01-31"), ("## [2.0.0]", ""), ("## [2.0.0] - soon", "soon")],
)
def test_notes_are_one_section(heading: str, date: str) -> None:
    notes = runpy.run_path(str(ROOT / ".ci" / "release_notes.py"))["notes"]
    changelog = f"# Changelog\n\n{heading}\n\n* New.\n\n## [1.0.0] - 2029-01-31\n\n* Old.\n"
    assert notes(changelog, "2.0.0") == (date, "* New.")
    assert notes(changelog, "1.0.0") == ("2029-01-31", "* Old.")
    for version in ("2.0", "1.0.0rc1"):
        with pytest.raises(ValueError, match=f"^CHANGELOG.md has no section for {version}$"):
            notes(changelog, version)
