"""Endpoints: what is accepted, and that nothing but loopback is ever bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtake.protocol import endpoints
from longtake.protocol.errors import EndpointError


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("tcp://127.0.0.1:5570", "tcp://127.0.0.1:5571"),
        ("tcp://127.1.2.3:0", "tcp://127.1.2.3:0"),
        ("ipc:///run/longtake", "ipc:///run/longtake.frames"),
        ("inproc://a-b.c_1", "inproc://a-b.c_1.frames"),
    ],
)
def test_control_and_frames_lie_side_by_side(text, frames):
    control = endpoints.parse_bind(text)
    assert str(control) == text
    assert str(endpoints.frames_bind(control)) == frames


def test_localhost_is_the_loopback_address():
    assert str(endpoints.parse_bind("tcp://localhost:5570")) == endpoints.DEFAULT_ENDPOINT


@pytest.mark.parametrize(
    "text",
    ["tcp://0.0.0.0:5570", "tcp://192.168.1.5:5570", "tcp://gpu-host:5570", "tcp://127.0.0.1.evil.example:5570"],
)
def test_other_addresses_are_not_bound_and_the_tunnel_is_explained(text):
    with pytest.raises(EndpointError, match=r"not encrypted: .*ssh -L 5570:127\.0\.0\.1:5570 -L 5571:") as caught:
        endpoints.parse_bind(text)
    assert "\n" not in str(caught.value)
    assert endpoints.parse_connect(text).port == 5570


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tcp://",
        "tcp://:5570",
        "tcp://*:5570",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:55x",
        "tcp://127.0.0.1:\u0665",
        "tcp://127.0.0.1;eth0:5570",
        "tcp://-x:5570",
        "tcp://::1:5570",
        "udp://127.0.0.1:5570",
        "ipc://",
        "ipc://*",
        "ipc://" + "a" * 101,
        "ipc://a\0b",
        "ipc://a\udcff",
        "inproc://",
        "inproc://a b",
        "inproc://" + "a" * 101,
        "127.0.0.1:5570",
    ],
)
def test_malformed_endpoints(text):
    with pytest.raises(EndpointError) as caught:
        endpoints.parse(text)
    assert len(str(caught.value).splitlines()) == 1


def test_the_last_port_leaves_none_for_frames():
    with pytest.raises(EndpointError, match="65535"):
        endpoints.frames_bind(endpoints.parse("tcp://127.0.0.1:65535"))


def test_a_client_needs_a_real_port():
    with pytest.raises(EndpointError, match="needs a port"):
        endpoints.parse_connect("tcp://127.0.0.1:0")


@pytest.mark.parametrize("text", ["tcp://127.0.0.1:5571", "ipc:///run/x.frames", "inproc://x.frames"])
def test_what_a_server_announces_leads_a_client_there(text):
    frames = endpoints.parse(text)
    assert (
        endpoints.frames_connect(endpoints.parse("tcp://127.0.0.1:5570"), endpoints.frames_announcement(frames))
        == frames
    )


def test_behind_a_tunnel_frames_are_sought_where_control_was_found():
    control = endpoints.parse_connect("tcp://gateway:7000")
    assert str(endpoints.frames_connect(control, "5571")) == "tcp://gateway:5571"


@pytest.mark.parametrize("announced", ["", "x", "99999", "-1", "0", "\u0665"])
def test_a_nonsensical_announcement_is_an_endpoint_error(announced):
    with pytest.raises(EndpointError):
        endpoints.frames_connect(endpoints.parse(endpoints.DEFAULT_ENDPOINT), announced)


@given(st.text(max_size=40))
def test_any_text(text):
    for prefix in ("", "tcp://", "ipc://", "inproc://"):
        try:
            endpoint = endpoints.parse_bind(prefix + text)
        except EndpointError:
            continue
        assert endpoint.is_local
