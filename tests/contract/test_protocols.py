"""What every protocol folder must keep to (`proxy/protocols/base.py`), run on each that is found on disk.

A new protocol brings `tests/vectors/NAME/contract.yaml` with samples; nothing here is to be changed for it.
"""

from __future__ import annotations

import importlib
import json
import math
import pickle
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from proxy import protocols
from proxy.core.names import Names
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.protocols.base import Effects, UpstreamEffects, UpstreamState
from proxy.protocols.relay import RelayUpstream
from tests.modbus.harness import ref
from tests.support.setting import FakeSetting, client, far
from tests.support.tables import table

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.protocols.base import Decide, Inspector, ProtocolSpec, Upstream

FOLDER = Path(protocols.__path__[0])
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/__init__.py"))
JUNK: list[Any] = [
    None, True, 0, -1, 10**30, 1.5, math.nan, math.inf, "", "all", "\0", [], {}, [[]], [None], {"": None},
    {"units": {}}, {"read": 5}, {"write": {"": []}}, {"topic": ["#", 7]}, ["read", {"x": [1]}],
]  # fmt: skip


class Sample:
    """A protocol and its samples."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.spec: ProtocolSpec = importlib.import_module(f"proxy.protocols.{name}").PROTOCOL
        file = Path(__file__).resolve().parents[1] / "vectors" / name / "contract.yaml"
        self.given: dict[str, Any] = table(file)
        self.names = Names(**self.given.get("names", {}))
        """Whose client it is, for protocols that ask."""
        parsed = self.spec.parse_rule(self.given["rule"], must_not_report)
        self.rule = tuple(target.bound(self.names) for target in parsed)
        self.options = self.spec.parse_service(self.given["service"], must_not_report)
        listener = self.spec.parse_listener(self.given.get("listener"), must_not_report)
        self.setting = FakeSetting(secured=True, options=listener)
        self.relays = isinstance(self.spec.upstream(self.options, far()), RelayUpstream)
        """Its messages are a stream: what counts is the bytes, and not where one message ends and the next begins."""

    def bytes(self, key: str, instead: str | None = None) -> list[bytes]:
        """``instead``: where a protocol says nothing under ``key`` because it is the same."""
        given = self.given[key] if instead is None else self.given.get(key, self.given[instead])
        return [bytes.fromhex(text) for text in given]

    def decide(self, asked: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
        """What the sample rule says."""
        for action in asked:
            mask = 0
            for target in self.rule:
                mask |= target.admits(action)
            if mask != action.atoms:
                return refuse(asked, now)
        return Verdict(ref("rule"), reusable=True)

    def fresh(self, judge: Judge | None = None, memory: object = None) -> Link:
        """Nobody has said anything."""
        whose = replace(client(self.names), memory=memory)
        made = self.spec.inspector(judge or Judge(self.decide), self.setting, self.options, whose)
        return Link(cast("Inspector", Telling(made)), self.relays)

    def link(self, decide: Decide | None = None) -> Link:
        """What comes before anything is asked has been said: the sample's ``opening``, by client and device in turn."""
        judge, memory = Judge(self.decide), self.spec.memory(self.options)
        link = self.fresh(judge, memory)
        upstream = cast("Upstream", Telling(self.spec.upstream(self.options, replace(far(), memory=memory))))
        for turn in self.given.get("opening", ()):
            link.turn(upstream, **{who: bytes.fromhex(text) for who, text in turn.items()})
        link.begin()
        judge.decide = decide or self.decide
        return link

    def upstream(self) -> Upstream:
        return cast("Upstream", Telling(self.spec.upstream(self.options, far())))


class Judge:
    """Decides as it is told to, and may be told otherwise later."""

    def __init__(self, decide: Decide) -> None:
        self.decide = decide

    def __call__(self, asked: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
        return self.decide(asked, now, recorded)


class Telling:
    """An inspector or upstream that is held to this: when a call moves its deadline forward it says so (`wake`), since
    nobody asks before the alarm rings. After `tick` the driver does ask."""

    def __init__(self, machine: Inspector | Upstream) -> None:
        self._machine = machine

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._machine, name)
        return method if name in ("deadline", "tally", "tick") else lambda *given: self._called(name, method, given)

    def _called(self, name: str, method: Any, given: tuple[Any, ...]) -> None:
        before, out = self._machine.deadline(), given[-1]
        told, out.wake = out.wake, None
        method(*given)
        due = self._machine.deadline()
        if due is not None and (before is None or due < before):
            assert out.wake is not None, f"{name}: wants to be woken at {due} and tells nobody"
            assert out.wake <= due, f"{name}: wants to be woken at {due}, and says {out.wake}"
        out.wake = min((at for at in (told, out.wake) if at is not None), default=None)


class Link:
    """Drives one inspector as the gateway's link does, and keeps everything that it wanted."""

    def __init__(self, inspector: Inspector, relays: bool) -> None:
        self.inspector = inspector
        self.relays = relays
        self.out = Effects()
        self._before = 0

    def turn(self, upstream: Upstream, client: bytes = b"", device: bytes = b"") -> None:
        """Bytes of one side, and what both machines make of them."""
        far_out = UpstreamEffects()
        if client:
            self.send(client)
        if device:
            upstream.from_device(0, device, 0.0, far_out)
        while self.out.upstream or far_out.clients or far_out.dial:
            up, self.out.upstream = self.out.upstream, []
            for message in up:
                upstream.submit(1, message, 0.0, far_out)
            dialled, far_out.dial = far_out.dial, []
            for connection in dialled:
                upstream.opened(connection, 0.0, far_out)
            down, far_out.clients = far_out.clients, []
            for _, message in down:
                self.inspector.from_upstream(message, 0.0, self.out)

    def begin(self) -> None:
        """What happened so far is not what a test is about."""
        assert not self.out.closing, [event.detail for event in self.out.events]
        self.out.client.clear()
        self.out.events.clear()
        self._before = self.tallied

    @property
    def tallied(self) -> int:
        return sum(self.inspector.tally().values()) - self._before

    def send(self, data: bytes) -> None:
        if not self.out.closing:
            self.inspector.from_client(data, 0.0, self.out)

    def facts(self) -> tuple[list[bytes], list[bytes], list[str], bool]:
        out = self.out
        upstream = [joined] if self.relays and (joined := b"".join(out.upstream)) else out.upstream
        return upstream, out.client, [event.what for event in out.events], out.closing


def refuse(asked: tuple[Action, ...], now: float, recorded: bool = False) -> Verdict:
    return Verdict(ref("default"), Reason.DEFAULT_DENY, reusable=True)


def must_not_report(path: object, wrong: str, mend: str = "") -> None:
    raise AssertionError(f"{path}: {wrong}")


@pytest.fixture(params=NAMES)
def sample(request: pytest.FixtureRequest) -> Sample:
    return Sample(request.param)


def test_the_contract_runs_on() -> None:
    print(f"protocols found: {', '.join(NAMES)}")
    assert {"modbus", "mqtt", "opcua"} <= set(NAMES)


def test_it_is_called_like_its_folder(sample: Sample) -> None:
    spec = sample.spec
    assert spec.name == sample.name
    assert all(0 < port < 65536 for port in spec.ports)
    assert spec.deny_styles(secured=True) and spec.deny_styles(secured=False)
    assert isinstance(spec.answers_strangers(secured=True), bool)
    assert isinstance(spec.answers_strangers(secured=False), bool)


def test_its_schema_is_json(sample: Sample) -> None:
    schema = sample.spec.schema()
    assert set(schema) - {"listener"} == {"service", "rule", "never"}
    assert ("listener" in schema) == ("listener" in sample.given), "samples of settings, where there are any"
    for part in schema.values():
        assert json.loads(json.dumps(part)) == part
        assert part["additionalProperties"] is False


def test_its_parsers_take_or_report_and_never_raise(sample: Sample) -> None:
    spec = sample.spec
    for value in JUNK:
        for parse in (spec.parse_rule, spec.parse_never, spec.parse_service, spec.parse_listener):
            reports: list[str] = []
            parsed = parse(value, lambda path, wrong, mend="", kept=reports: kept.append(wrong))
            assert parsed or reports or (parse == spec.parse_listener and value is None), (parse, value)


def plain(shape: object) -> bool:
    if isinstance(shape, tuple):
        return all(map(plain, shape))
    return shape is None or type(shape) in (str, int, float, bool)


def test_its_questions_are_actions(sample: Sample) -> None:
    for text in sample.given["questions"]:
        for action in sample.spec.parse_actions(text):
            assert action.protocol == sample.name
            assert action.atoms > 0
            assert action.atoms & (action.atoms + 1) == 0, "a mask of all parts"
            assert 0 < len(action.describe()) <= 120
        asked = sample.spec.parse_actions(text)
        assert sample.spec.parse_actions(sample.spec.text_of(asked)) == asked, "flows are kept as text"
        assert all(plain(action.shape) for action in asked), "a flow is the same one in the next run of the gateway"
    for text in ("", "drop tables", "\0", "read " * 50):
        with pytest.raises(ValueError, match="."):
            sample.spec.parse_actions(text)


def test_what_it_refuses_outright_has_a_reason(sample: Sample) -> None:
    """`explain` and the policy's own tests ask this as well, so that they promise no more than the gateway does."""
    spec = sample.spec
    assert all(spec.outright(spec.parse_actions(text), sample.options) is None for text in sample.given["questions"])
    for text in sample.given["outright"]:
        refused = spec.outright(spec.parse_actions(text), sample.options)
        assert refused is not None, text
        assert isinstance(refused[0], Reason)
        assert refused[1].isprintable()


def test_what_it_proposes_allows_what_was_refused(sample: Sample) -> None:
    """`explain` takes the first section that helps; guesses that do not parse are dropped."""
    spec = sample.spec
    helped = 0
    for text in sample.given["questions"]:
        actions = spec.parse_actions(text)
        for section in spec.sections(text, actions):
            wrong: list[str] = []
            targets = spec.parse_rule(section, lambda path, what, mend="", kept=wrong: kept.append(what))
            assert targets or wrong, (text, section)
            if not wrong and all(sum(t.admits(a) == a.atoms for t in targets) for a in actions):
                helped += 1
                break
    assert helped, "not one of them would get a proposal"


def test_its_targets_and_options_can_be_sent_to_another_process(sample: Sample) -> None:
    """A changed policy is judged in a process of its own, and comes from there."""
    never = sample.spec.parse_never(sample.given["never"], must_not_report)
    actions = [action for text in sample.given["questions"] for action in sample.spec.parse_actions(text)]
    for target in (*sample.rule, *never):
        again = pickle.loads(pickle.dumps(target))
        assert again == target and again.describe() == target.describe()
        assert [again.admits(action) for action in actions] == [target.admits(action) for action in actions]
    assert pickle.loads(pickle.dumps(sample.options)) == sample.options
    assert pickle.loads(pickle.dumps(sample.setting.options)) == sample.setting.options
    assert pickle.loads(pickle.dumps(sample.spec)).name == sample.name


def test_what_it_learns_allows_what_was_asked_and_keeps_apart_what_acts(sample: Sample) -> None:
    """`bulkhead policy learn` comments out what acts: whoever lied while flows were recorded gains nothing."""
    spec = sample.spec
    asked = [action for text in sample.given["questions"] for action in spec.parse_actions(text)]
    proposals = list(spec.learn(asked, sample.names))
    assert proposals == list(spec.learn(asked[::-1], sample.names)), "the order does not matter"
    looking, all_of_it = (
        [
            target.bound(sample.names)
            for one in proposals
            if one.section and (which or not one.acts)
            for target in spec.parse_rule(one.section, must_not_report)
        ]
        for which in (False, True)
    )
    assert not any(target.changes for target in looking)
    for action in asked:
        if action.changes:
            assert not any(target.covers(action) for target in looking), action.describe()
        assert _admitted(all_of_it, action) == action.atoms, action.describe()
    assert all(note.isprintable() for one in proposals for note in one.notes)


def _admitted(targets: list[Target], action: Action) -> int:
    mask = 0
    for target in targets:
        mask |= target.admits(action)
    return mask


def test_a_sample_rule_is_not_pointless(sample: Sample) -> None:
    for target in sample.rule:
        assert sample.spec.pointless(target, sample.options) is None, target.describe()


def test_its_targets_admit_a_part_of_what_they_cover(sample: Sample) -> None:
    never = sample.spec.parse_never(sample.given["never"], must_not_report)
    actions = [action for text in sample.given["questions"] for action in sample.spec.parse_actions(text)]
    assert any(target.admits(action) for target in sample.rule for action in actions)
    for target in (*sample.rule, *never):
        assert target.protocol == sample.name
        assert target.describe().isprintable()
        for action in actions:
            covered = target.covers(action)
            assert covered & ~action.atoms == 0
            assert target.admits(action) & ~covered == 0


def test_a_fresh_inspector_wants_nothing(sample: Sample) -> None:
    """But for a first message in time, if its protocol begins with one that must come."""
    link = sample.fresh()
    assert link.inspector.deadline() == sample.given.get("first_within")
    assert dict(link.inspector.tally()) == {}
    link.inspector.tick(0.0, link.out)
    link.inspector.decide_again(0.0, link.out)
    link.inspector.resume(1, True, 0.0, link.out)
    link.inspector.upstream_is(UpstreamState.OPEN, 0.0, link.out)
    assert link.facts() == ([], [], [], False)
    for state in UpstreamState:
        link.inspector.upstream_is(state, 0.0, link.out)
    assert link.out.closing == sample.given.get("ends_with_its_device", False)
    assert link.out.events == []


def test_what_is_allowed_goes_up_and_is_tallied(sample: Sample) -> None:
    link = sample.link()
    link.send(b"".join(sample.bytes("allowed")))
    assert b"".join(link.out.upstream) == b"".join(sample.bytes("up", "allowed"))
    assert link.tallied == len(sample.bytes("allowed"))
    for answer in sample.bytes("answers"):
        link.inspector.from_upstream(answer, 0.0, link.out)
    assert link.out.client == sample.bytes("told", "answers")
    link.inspector.eof(0.0, link.out)
    assert (link.out.closing, link.out.why) == (True, None)


def test_what_is_refused_does_not_go_up(sample: Sample) -> None:
    link = sample.link(refuse)
    link.send(b"".join(sample.bytes("allowed")))
    assert link.out.upstream == []
    assert link.out.client, "a refusal is answered in the peer's language"
    assert all(event.reason is not None for event in link.out.events)


def test_malformed_ends_the_link(sample: Sample) -> None:
    farewells = sample.bytes("farewells") if "farewells" in sample.given else [b""] * len(sample.given["malformed"])
    for stream, farewell in zip(sample.bytes("malformed"), farewells, strict=True):
        link = sample.link()
        link.send(stream)
        assert link.facts() == ([], [farewell] if farewell else [], ["malformed"], True)
        assert link.inspector.deadline() is None


def test_an_unfinished_message_has_a_deadline(sample: Sample) -> None:
    link = sample.link()
    link.send(sample.bytes("allowed")[0][:-1])
    due = link.inspector.deadline()
    assert due is not None
    link.inspector.tick(due, link.out)
    assert link.out.closing
    assert link.inspector.deadline() is None


def _cuts(stream: bytes) -> list[int]:
    """Of a long stream not all, since what comes before takes its time."""
    return [at for at in range(len(stream)) if at < 48 or len(stream) <= 128 or at % 7 == 0]


def test_cutting_the_stream_changes_nothing(sample: Sample) -> None:
    for stream in (b"".join(sample.bytes("allowed")), *sample.bytes("malformed")):
        whole = sample.link()
        whole.send(stream)
        for at in _cuts(stream):
            pieces = sample.link()
            pieces.send(stream[:at])
            pieces.send(stream[at:])
            assert pieces.facts() == whole.facts(), at


def test_cutting_what_a_relayed_device_says_changes_nothing(sample: Sample) -> None:
    if not sample.relays:
        pytest.skip("its upstream gives it whole messages")
    stream = b"".join(sample.bytes("answers"))
    for at in range(1, len(stream)):
        link = sample.link()
        link.send(b"".join(sample.bytes("allowed")))
        for piece in (stream[:at], stream[at:]):
            link.inspector.from_upstream(piece, 0.0, link.out)
        assert b"".join(link.out.client) == stream, at


def test_noise_never_raises_and_never_goes_up(sample: Sample) -> None:
    noise = random.Random(7)
    good = b"".join(sample.bytes("allowed"))
    own = [bytes.fromhex(text) for text in sample.given.get("own", ())]
    for _ in range(400 if sample.given.get("opening") else 2000):
        stream = bytearray(good)
        for _ in range(noise.randrange(1, 8)):
            stream[noise.randrange(len(stream))] = noise.randrange(256)
        link = sample.link(refuse)
        link.send(bytes(stream))
        assert [message for message in link.out.upstream if message not in own] == []


def test_the_end_is_the_end(sample: Sample) -> None:
    link = sample.link()
    link.send(b"".join(sample.bytes("allowed")))
    link.inspector.end(Reason.POLICY_CHANGED, 0.0, link.out)
    assert (link.out.closing, link.out.why) == (True, Reason.POLICY_CHANGED)
    assert link.inspector.deadline() is None


def test_an_inspector_tells_when_it_wants_to_be_woken(sample: Sample) -> None:
    chance = random.Random(11)
    stream = b"".join(sample.bytes("allowed"))
    told = 0
    for _ in range(300):
        link, now = sample.link(), 0.0
        for _ in range(chance.randrange(1, 25)):
            now += chance.choice([0.0, 0.1, 3.0])
            at = chance.randrange(len(stream))
            step = chance.randrange(6)
            if link.out.closing:
                break
            if step < 3:
                link.inspector.from_client(stream[at : chance.randrange(at, len(stream)) + 1], now, link.out)
            elif step == 3:
                link.inspector.from_client(stream, now, link.out)
            elif step == 4:
                link.inspector.from_upstream(chance.choice(sample.bytes("answers")), now, link.out)
            else:
                link.inspector.decide_again(now, link.out)
            if (due := link.inspector.deadline()) is not None and due <= now:
                link.inspector.tick(now, link.out)
        told += link.out.wake is not None
    assert told, "no deadline was ever seen: nothing is tested"


def test_an_upstream_tells_when_it_wants_to_be_woken(sample: Sample) -> None:
    chance = random.Random(12)
    for _ in range(300):
        upstream, out, now = sample.upstream(), UpstreamEffects(), 0.0
        dialled: set[int] = set()
        up: set[int] = set()
        for _ in range(chance.randrange(1, 40)):
            now += chance.choice([0.0, 0.01, 0.3, 40.0])
            dialled |= set(out.dial)
            dialled -= set(out.hang_up)
            up -= set(out.hang_up)
            out.dial.clear()
            out.hang_up.clear()
            step, client = chance.randrange(6), chance.randrange(1, 4)
            if step < 2:
                upstream.submit(client, chance.choice(sample.bytes("up", "allowed")), now, out)
            elif step == 2 and dialled - up:
                up.add(connection := min(dialled - up))
                upstream.opened(connection, now, out)
            elif step == 3 and up:
                upstream.from_device(min(up), chance.choice(sample.bytes("device", "answers")), now, out)
            elif step == 4 and dialled and chance.random() < 0.3:
                connection = min(dialled)
                dialled.discard(connection)
                up.discard(connection)
                upstream.lost(connection, now, out)
            elif step == 5:
                upstream.leave(client, now, out)
            if (due := upstream.deadline()) is not None and due <= now:
                upstream.tick(now, out)


def test_an_upstream_does_nothing_until_it_is_asked(sample: Sample) -> None:
    upstream, out = sample.upstream(), UpstreamEffects()
    assert upstream.deadline() is None
    upstream.tick(0.0, out)
    upstream.opened(0, 0.0, out)
    upstream.from_device(0, b"\0" * 300, 0.0, out)
    upstream.lost(0, 0.0, out)
    upstream.leave(1, 0.0, out)
    assert (out.dial, out.device, out.clients, out.hang_up, out.states) == ([], {}, [], [], [])


def test_an_upstream_dials_for_the_first_message_and_sends_it_once_open(sample: Sample) -> None:
    upstream, out = sample.upstream(), UpstreamEffects()
    upstream.submit(1, sample.bytes("up", "allowed")[0], 0.0, out)
    assert (len(out.dial), out.device) == (1, {})
    upstream.opened(out.dial[0], 0.0, out)
    assert set(out.device) == {out.dial[0]}


def test_what_an_upstream_is_given_is_not_options(sample: Sample) -> None:
    with pytest.raises(TypeError):
        sample.spec.upstream(object(), far())
    with pytest.raises(TypeError):
        sample.spec.inspector(sample.decide, sample.setting, object(), client())
