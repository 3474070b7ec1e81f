"""`chatproto` as a package: its public names, what importing it loads, its metadata."""

import importlib.metadata
import tomllib
from importlib import resources
from pathlib import Path
from types import ModuleType

import pytest

import chatproto
import chatproto.testing
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


def test_dir_lists_names_that_are_not_loaded_yet() -> None:
    assert set(chatproto.__all__) <= set(dir(chatproto))


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(chatproto, "ChatBrocker")


def test_all_of_testing_is_all_that_it_defines() -> None:
    defined = {
        name
        for name, value in vars(chatproto.testing).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "").startswith("chatproto.testing.")
    }
    assert defined | {"DATA_MAX"} == set(chatproto.testing.__all__)


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


@pytest.mark.parametrize("package", ["chatproto", "chatproto_sync", "chatproto_anyio"])
def test_every_package_is_marked_as_typed(package: str) -> None:
    # As a file: AnyIO may not be installed.
    assert (ROOT / package / "py.typed").is_file()
    if package == "chatproto":
        assert resources.files(package).joinpath("py.typed").is_file()


def test_chatproto_depends_on_nothing() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == []
    assert project["optional-dependencies"]["testing"][0].startswith("hypothesis")


def test_the_version_is_that_of_the_distribution() -> None:
    assert importlib.metadata.version("chatproto-sansio") == chatproto.__version__
