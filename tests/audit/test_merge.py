"""Floods become few records and lose no count (T47), and noise does not hide an event (T81)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.audit.merge import DIFFERENT, DIFFERENT_LINKS, Merger, Repeats
from proxy.audit.record import LinkFigures, Record
from proxy.core.reason import Reason
from tests.audit.kit import ALLOW, DEFAULT, DENY, RULE, act, refusal, subject


def total(records: list[Record]) -> int:
    return sum(r.figures.count if isinstance(r.figures, Repeats) else 1 for r in records)


def test_t47_a_flood_of_one_refusal_is_one_record_and_then_one_a_second() -> None:
    merger = Merger()
    written: list[Record] = []
    for step in range(100_000):
        now = step * 1e-4
        record = refusal()
        record.time = 1e9 + now
        if merger.offer(record, now):
            written.append(record)
        if step % 100 == 0:
            written += merger.due(now)
    written += merger.flush()
    assert len(written) <= 12
    assert total(written) == 100_000


def test_the_sum_says_how_many_when_and_which() -> None:
    merger = Merger()
    for step in range(5):
        record = refusal(40)
        record.time = 1e9 + step / 10
        merger.offer(record, step / 10)
    assert merger.due(0.99) == []
    (record,) = merger.due(1.0)
    fields = record.fields()
    assert fields["count"] == 4
    assert (fields["first"], fields["last"]) == ("2001-09-09T01:46:40.100Z", "2001-09-09T01:46:40.400Z")
    assert fields["actions"] == {"write holding 40": 4}
    assert fields["link"] == 1 and fields["reason"] == "BH-1201" and fields["rule"] == "cell-3/default"


def test_t81_each_of_a_few_different_actions_has_a_record_of_its_own() -> None:
    merger = Merger()
    noise = [merger.offer(refusal(40), 0.0) for _ in range(1000)]
    assert noise.count(True) == 1
    others = [merger.offer(refusal(900 + n), 0.1) for n in range(DIFFERENT + 5)]
    assert others == [True] * (DIFFERENT - 1) + [False] * 6
    (record,) = merger.flush()
    assert record.fields()["actions"] == {
        "write holding 40": 999,
        **{f"write holding {900 + n}": 1 for n in range(7, 13)},
    }


def test_different_reason_rule_speaker_or_device_is_never_merged() -> None:
    merger = Merger()
    alike = [refusal(), refusal(about=subject(ip="10.3.0.6")), refusal(about=subject(to="plc-3b"))]
    alike.append(Record("refuse", subject(), reason=Reason.RATE_SPENT, verdict=DENY, action="write holding 0"))
    alike.append(Record("refuse", subject(), reason=Reason.DEFAULT_DENY, verdict=ALLOW, action="write holding 0"))
    alike.append(Record("malformed", subject(), reason=Reason.DEFAULT_DENY, verdict=DENY, action="write holding 0"))
    assert all(merger.offer(record, 0.0) for record in alike)


def test_refusals_on_other_links_of_one_speaker_merge_and_name_no_link() -> None:
    merger = Merger()
    assert merger.offer(refusal(about=subject(link=1)), 0.0)
    assert not any(merger.offer(refusal(about=subject(link=link)), 0.0) for link in (2, 3))
    (record,) = merger.flush()
    assert "link" not in record.fields() and record.fields()["peer"] == "10.3.0.5"


def test_connections_have_a_record_each_until_there_are_very_many() -> None:
    merger = Merger()
    opened = [merger.offer(Record("connect", subject(link=n), verdict=ALLOW), 0.0) for n in range(100)]
    assert opened.count(True) == DIFFERENT_LINKS
    assert total(merger.flush()) == 100 - DIFFERENT_LINKS


def test_each_malformed_input_is_told_with_its_link_until_there_are_very_many() -> None:
    merger = Merger()
    ended = [Record("malformed", subject(link=n), reason=Reason.MALFORMED, detail=f"{n}") for n in range(100)]
    assert [merger.offer(record, 0.0) for record in ended].count(True) == DIFFERENT_LINKS
    assert total(merger.flush()) == 100 - DIFFERENT_LINKS


def test_one_repeat_is_a_record_of_its_own() -> None:
    merger = Merger()
    first, second = refusal(), refusal()
    second.time = 7.0
    assert merger.offer(first, 0.0) and not merger.offer(second, 0.5)
    assert merger.due(1.0) == [second]
    assert "count" not in second.fields()


def test_ends_of_links_that_merge_keep_their_sums() -> None:
    merger = Merger()
    for link in range(DIFFERENT_LINKS + 3):
        figures = LinkFigures({RULE: 2, DEFAULT: 1}, {Reason.DEFAULT_DENY: 5}, 10, 20, 1.5)
        merger.offer(Record("close", subject(link=link), figures=figures), 0.0)
    (record,) = merger.flush()
    fields = record.fields()
    assert fields["count"] == 3
    assert fields["allowed"] == {"cell-3/setpoint": 6, "cell-3/default": 3}
    assert fields["refused"] == {"BH-1201": 15}
    assert (fields["received_bytes"], fields["sent_bytes"], fields["seconds"]) == (30, 60, 4.5)


def test_changes_merge_only_with_the_very_same_change() -> None:
    merger = Merger()
    assert all(merger.offer(act(n), 0.0) for n in range(200))
    assert not any(merger.offer(act(n), 0.0) for n in range(200))


def test_the_table_is_bounded_and_acts_cannot_fill_it() -> None:
    merger = Merger(limit=10)
    assert all(merger.offer(act(n), 0.0) for n in range(100))
    assert merger.offer(refusal(), 0.0)
    assert not merger.offer(refusal(), 0.0), "a flood still merges"
    for n in range(100):
        merger.offer(refusal(about=subject(ip=f"10.9.0.{n}")), 0.0)
    assert merger.offer(refusal(about=subject(ip="10.9.0.99")), 0.0), "beyond the table: written singly"


def test_what_has_no_repeats_is_forgotten() -> None:
    merger = Merger()
    merger.offer(refusal(), 0.0)
    assert merger.deadline() == 1.0
    assert merger.due(1.0) == []
    assert merger.deadline() is None
    assert merger.offer(refusal(), 1.1), "a refusal now and then is written each time"


def test_sums_come_in_portions() -> None:
    merger = Merger()
    for n in range(300):
        about = subject(ip=f"10.8.{n // 250}.{n % 250}")
        merger.offer(refusal(about=about), 0.0)
        merger.offer(refusal(about=about), 0.0)
    portions = [len(merger.due(1.0)) for _ in range(4)]
    assert portions == [128, 128, 44, 0]


@given(
    st.lists(
        st.tuples(
            st.floats(0, 0.6),
            st.sampled_from(["refuse", "connect", "close", "act", "malformed", "device", "stop"]),
            st.integers(0, 3),
            st.integers(0, 40),
        ),
        max_size=200,
    )
)
def test_every_event_is_counted_exactly_once(events: list[tuple[float, str, int, int]]) -> None:
    merger = Merger(limit=5)
    written: list[Record] = []
    now = 0.0
    for pause, what, speaker, number in events:
        now += pause
        about = subject(link=number, ip=f"10.0.0.{speaker}")
        record = Record(what, about, reason=Reason.DEFAULT_DENY, action=f"write holding {number}")
        if merger.offer(record, now):
            written.append(record)
        written += merger.due(now)
    written += merger.flush()
    assert total(written) == len(events)
