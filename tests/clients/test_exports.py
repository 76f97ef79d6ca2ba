"""The public names of the clients and the runtime, and what importing them costs."""

import importlib
import subprocess
import sys

import pytest

PROBE = """
import sys
from longtake.clients import Session
from longtake.clients.session import Session as same
import longtake.runtime
assert Session is same
print(*(name for name in ("pygame", "av", "gymnasium", "torch", "longtake.runtime.server.loop") if name in sys.modules))
"""


@pytest.mark.parametrize("package", ["longtake.clients", "longtake.clients.session", "longtake.runtime"])
def test_every_public_name_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None, name
    with pytest.raises(AttributeError):
        module.nonesuch  # noqa: B018


def test_public_names_load_nothing_heavy() -> None:
    loaded = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
