"""A peer that is not installed is named, and the run says so by its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.environment import Cores
from bench.generator import WrongAnswers
from bench.peers.base import find_program
from bench.peers.haproxy import HAProxy
from bench.plan import QUICK
from bench.session import Session

if TYPE_CHECKING:
    from bench.peers.base import Setting
    from bench.processes import Running


class Absent(HAProxy):
    name = "absent"

    def missing(self) -> str | None:
        return "absent is not installed (Debian package absent)"

    def start(self, setting: Setting) -> Running:
        raise AssertionError("started although it is missing")


def test_a_missing_peer_is_named() -> None:
    said: list[str] = []
    report = Session(QUICK, [Absent()], ["load"], Cores(0, 0), said.append).run()
    assert report.missing == ["absent: absent is not installed (Debian package absent)"]
    assert said == ["missing: absent: absent is not installed (Debian package absent)"]
    assert "not measured: absent" in report.as_text()


def end_with_a_wrong_answer() -> None:
    raise WrongAnswers("haproxy: the answer has a wrong length")


def test_a_phase_that_fails_is_named_and_the_others_go_on() -> None:
    session = Session(QUICK, [], [], Cores(0, 0), lambda _: None)
    with session.failing("handshakes"):
        end_with_a_wrong_answer()
    report = session.run()
    assert report.failed == ["handshakes: haproxy: the answer has a wrong length"]
    assert "not measured: handshakes: haproxy" in report.as_text()


def test_a_program_that_is_nowhere_is_not_found() -> None:
    assert find_program("no-program-has-this-name") is None
    assert find_program("sh") is not None
