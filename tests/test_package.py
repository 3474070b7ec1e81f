"""The package as users meet it."""

import importlib.metadata
import tomllib
from importlib import resources
from pathlib import Path
from types import ModuleType

import pytest

import chatproto
import chatproto.testing

from .test_purity import loaded_after

ROOT = Path(chatproto.__file__).parents[1]

# Literally from architecture.md.
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


def test_all_has_everything_that_the_package_imports() -> None:
    for name in chatproto.__all__:
        getattr(chatproto, name)
    public = {
        name
        for name, value in vars(chatproto).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    # What the package needs to import things later.
    assert public - {"TYPE_CHECKING", "import_module"} | {"__version__"} == set(chatproto.__all__)


def test_the_package_shows_all_that_it_has() -> None:
    assert set(chatproto.__all__) <= set(dir(chatproto))
    assert not hasattr(chatproto, "ChatBrocker")


def test_all_of_testing_is_all_that_it_defines() -> None:
    defined = {
        name
        for name, value in vars(chatproto.testing).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "").startswith("chatproto.testing.")
    }
    assert defined | {"DATA_MAX"} == set(chatproto.testing.__all__)


def test_the_names_that_are_promised() -> None:
    assert set(PROMISED) <= set(chatproto.__all__)


def test_everything_public_is_documented() -> None:
    for module in (chatproto, chatproto.testing):
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type):
                assert value.__doc__
                # What `dataclass` writes when nobody else has.
                assert not value.__doc__.startswith(f"{name}(")


def test_the_codec_brings_in_no_server_and_no_client() -> None:
    brought = loaded_after("from chatproto import ChatConnection, Role, Send")
    assert "chatproto.wire.connection" in brought
    assert brought.isdisjoint(
        {"chatproto.routing.hub", "chatproto.server.broker", "chatproto.client.session"}
    )
    assert "chatproto.server.broker" in loaded_after("from chatproto import ChatBroker")


@pytest.mark.parametrize("package", ["chatproto", "chatproto_sync", "chatproto_anyio"])
def test_every_package_says_that_it_is_typed(package: str) -> None:
    # Looked for as files, so that a package need not be importable here.
    assert (ROOT / package / "py.typed").is_file()
    if package == "chatproto":
        assert resources.files(package).joinpath("py.typed").is_file()


def test_nothing_is_needed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == []
    assert project["optional-dependencies"]["testing"][0].startswith("hypothesis")


def test_the_version_is_the_distributions() -> None:
    assert importlib.metadata.version("chatproto-sansio") == chatproto.__version__
