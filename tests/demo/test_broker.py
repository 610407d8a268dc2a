"""The broker of one's own: how it is named, what is said when it is not usable, and which versions it speaks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from proxy.demo import broker
from proxy.demo.errors import DemoError
from tests.support.net import free_port


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:1883", ("127.0.0.1", 1883)),
        ("broker.plant.example:8883", ("broker.plant.example", 8883)),
        ("[::1]:1883", ("::1", 1883)),
    ],
)
def test_addresses_and_names(text: str, address: tuple[str, int]) -> None:
    assert broker.parse(text) == address
    assert broker.text_of(address) == text


@pytest.mark.parametrize(
    "text", ["", "1883", "localhost", "localhost:", ":1883", "a:0", "a:65536", "a:1e3", "::1:1883"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        broker.parse(text)


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, int]]:
    """A server that gives each connection the next of these answers."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            with listener.accept()[0] as sock:
                sock.recv(100)
                sock.sendall(answer)
                if answer:
                    sock.recv(100)  # until it goes: an early close would reset its farewell

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()
    thread.join(5)
    listener.close()


WELCOME, VERSION, LOGIN = (bytes.fromhex(text) for text in ("20020000", "2003008400", "20020005"))


def test_its_versions_are_found_out() -> None:
    with answering(WELCOME, bytes.fromhex("2003000000")) as address:
        assert broker.look_at(address).version5
    with answering(WELCOME, VERSION) as address:
        assert not broker.look_at(address).version5


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ((LOGIN, LOGIN), "it wants a log-in"),
        ((bytes.fromhex("20020002"), LOGIN), "CONNACK 02"),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",) * 2, "no MQTT broker"),
        ((b"\x15\x03\x01\x00\x02\x02\x46",) * 2, "one that wants TLS"),
        ((b"", b""), "no MQTT broker"),
    ],
)
def test_a_broker_that_is_none_or_is_closed(answers: tuple[bytes, ...], says: str) -> None:
    with answering(*answers) as address, pytest.raises(DemoError, match=says) as fault:
        broker.look_at(address)
    assert broker.text_of(address) in str(fault.value)


def test_nobody_there() -> None:
    with pytest.raises(DemoError, match=r"127\.0\.0\.1:\d+: cannot be reached: Connection refused"):
        broker.look_at(("127.0.0.1", free_port()))
    with pytest.raises(DemoError, match=r"nowhere\.invalid:1883: no such host"):
        broker.look_at(("nowhere.invalid", 1883))
