"""Flows in memory: added up by what they are, and bounded by speaker and in all."""

from __future__ import annotations

from proxy.flows.book import Book
from tests.flows.kit import WOULD, key, seen


def test_the_same_flow_of_two_links_is_one() -> None:
    book = Book()
    book.add(key(), seen(low=5, high=9, count=3, first=10.0, last=20.0, at="f:11"))
    book.add(key(), seen(low=2, high=7, count=4, first=5.0, last=30.0, at="f:12", policy="bb"))
    ((_, one),) = book.take().items()
    assert (one.count, one.first, one.last) == (7, 5.0, 30.0)
    assert (one.smallest, one.largest) == (2, 9)
    assert (one.low[0].size, one.high[0].size) == (2, 9)
    assert (one.at, one.policy) == ("f:12", "bb")


def test_another_answer_is_another_flow() -> None:
    book = Book()
    book.add(key(), seen())
    book.add(key(answer=WOULD), seen())
    assert len(book) == 2


def test_one_speaker_cannot_push_out_the_others() -> None:
    book = Book(most=10, most_of_one=3)
    for cell in range(20):
        book.add(key(cell, "scanner"), seen(cell, count=2))
    book.add(key(1, "mes"), seen(1))
    assert len(book) == 4
    assert book.untold == 17 * 2
    assert book.speakers == {"scanner", "mes"}


def test_all_together_are_bounded_and_what_is_known_still_counts() -> None:
    book = Book(most=3, most_of_one=3)
    for at in range(5):
        book.add(key(1, f"device-{at}"), seen(1))
    book.add(key(1, "device-0"), seen(1))
    assert (len(book), book.untold) == (3, 2)
    taken = book.take()
    assert taken[key(1, "device-0")].count == 2
    assert (len(book), book.untold) == (0, 2)
    book.add(key(1, "device-4"), seen(1))
    assert len(book) == 1
