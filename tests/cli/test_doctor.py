"""`longtake doctor` says what is here and what is missing."""

import json
import socket
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest

from longtake.clients.player import pygame_packages
from longtake.runtime.cli import doctor
from longtake.runtime.cli.doctor import Finding, verdict

Call = Callable[..., Any]


def finding(call: Call, name: str) -> dict[str, str]:
    findings = json.loads(call("doctor", "--json").out)["findings"]
    return next(found for found in findings if found["name"] == name)


def test_the_report_for_people_and_the_one_for_programs_agree(call: Call) -> None:
    shown, told = call("doctor"), call("doctor", "--json")
    findings = json.loads(told.out)["findings"]
    assert shown.code == told.code == int(any(found["state"] == "problem" for found in findings))
    for found in findings:
        assert f"{doctor.SIGNS[found['state']]} {found['name']}" in shown.out


def test_what_is_missing_comes_with_what_to_install(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor.version

    def without_av(name: str) -> str:
        if name in ("av", "msgspec"):
            raise PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor, "version", without_av)
    assert finding(call, "av")["state"] == "note"
    assert finding(call, "msgspec")["state"] == "problem"
    assert "pip install" in finding(call, "av")["advice"]
    assert call("doctor").code == 1


def test_two_pygames_are_a_problem(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pygame_packages, "version", lambda name: "2.6")
    found = finding(call, "pygame")
    assert found["state"] == "problem"
    assert "pip uninstall pygame pygame-ce" in found["advice"]


def test_a_port_in_use_is_seen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not doctor.port_is_free(port)
    assert doctor.port_is_free(port)


def test_the_last_line_says_what_the_machine_lacks() -> None:
    fine = Finding(area="packages", name="torch", state="ok", value="2")
    missing = Finding(area="packages", name="torch", state="note", value="not installed")
    optional = Finding(area="packages", name="gymnasium", state="note", value="not installed")
    problem = Finding(area="packages", name="msgpack", state="problem", value="not installed")
    assert verdict([fine, optional]) == "all is well"
    assert "pip install 'longtake[host]'" in verdict([missing, optional])
    assert verdict([missing, problem]) == "1 to fix, marked with !"
