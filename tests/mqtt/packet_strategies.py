"""Hypothesis strategies for legal control packets of both versions and directions, written from the standard."""

from __future__ import annotations

from hypothesis import strategies as st

from proxy.protocols.mqtt import packets as p
from tests.mqtt import table

Case = tuple[p.Packet, int, bool]
"""A packet, its level, and whether it goes to the broker."""

packet_ids = st.integers(1, 65535)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=20)
"""No control characters; non-characters are unassigned (Cn)."""
topics = st.lists(names.map(lambda text: text.translate({ord(c): "x" for c in "+#/"})), min_size=1, max_size=5).map(
    "/".join
)
full_topics = topics.filter(bool)


@st.composite
def plain_filters(draw: st.DrawFn) -> str:
    levels = draw(topics).split("/")
    for at in range(len(levels)):
        if draw(st.integers(0, 3)) == 0:
            levels[at] = "+"
    if draw(st.booleans()):
        levels.append("#")
    text = "/".join(levels)
    return text if text and levels[0] != "$share" else "a"


@st.composite
def filters(draw: st.DrawFn) -> str:
    text = draw(plain_filters())
    if draw(st.integers(0, 4)):
        return text
    group = draw(names.map(lambda name: name.translate({ord(c): "x" for c in "+#/"}))) or "g"
    return f"$share/{group}/{text}"


_KINDS: dict[str, st.SearchStrategy[int | str | bytes | tuple[str, str]]] = {
    "flag": st.integers(0, 1),
    "two": st.integers(0, 65535),
    "positive two": st.integers(1, 65535),
    "four": st.integers(0, 2**32 - 1),
    "positive four": st.integers(1, 2**32 - 1),
    "varint": st.one_of(st.integers(1, 300), st.integers(1, 268_435_455)),
    "text": texts,
    "topic": full_topics,
    "id": names,
    "binary": st.binary(max_size=20),
    "pair": st.tuples(texts, texts),
}


@st.composite
def property_lists(draw: st.DrawFn, where: int, to_broker: bool, *, need: int | None = None) -> p.Properties:
    """Any legal list, in any order; ``need`` is in it. Three in ten are empty."""
    if need is None and draw(st.integers(0, 9)) < 3:
        return ()
    chosen = set(draw(st.lists(st.sampled_from(table.may_carry(where, to_broker=to_broker)), max_size=6)))
    if need is not None:
        chosen.add(need)
    if 0x16 in chosen:
        chosen.add(0x15)
    numbers = sorted(chosen)
    for number in (0x26, 0x0B):
        if number in chosen and (number, where) != (0x0B, table.SUBSCRIBE):
            numbers += [number] * draw(st.integers(0, 4))
    ordered = draw(st.permutations(numbers))
    return tuple(p.Property(number, draw(_KINDS[table.PROPERTIES[number][0]])) for number in ordered)


def lists_for(level: int, where: int, to_broker: bool) -> st.SearchStrategy[p.Properties]:
    return property_lists(where, to_broker) if level == 5 else st.just(())


@st.composite
def connects(draw: st.DrawFn) -> Case:
    level = draw(st.sampled_from([4, 5]))
    will = None
    if draw(st.booleans()):
        properties = draw(lists_for(level, table.WILL, True))
        will = p.Will(
            draw(full_topics), draw(st.binary(max_size=30)), draw(st.integers(0, 2)), draw(st.booleans()), properties
        )
    user = draw(st.none() | names)
    password = draw(st.none() | st.binary(max_size=20)) if level == 5 or user is not None else None
    client_id = draw(names)
    clean = draw(st.booleans()) or (level == 4 and not client_id)
    properties = draw(lists_for(level, table.CONNECT, True))
    packet = p.Connect(level, client_id, clean, draw(st.integers(0, 65535)), properties, will, user, password)
    return packet, level, True


@st.composite
def connacks(draw: st.DrawFn) -> Case:
    level = draw(st.sampled_from([4, 5]))
    code = draw(st.sampled_from([0, 0, 1, 5] if level == 4 else [0, 0, 0x80, 0x87, 0x8A, 0x9F]))
    present = code == 0 and draw(st.booleans())
    return p.Connack(present, code, draw(lists_for(level, table.CONNACK, False))), level, False


@st.composite
def publishes(draw: st.DrawFn) -> Case:
    level, to_broker, qos = draw(st.sampled_from([4, 5])), draw(st.booleans()), draw(st.integers(0, 2))
    topic = draw(full_topics)
    properties = draw(lists_for(level, table.PUBLISH, to_broker))
    if level == 5 and draw(st.integers(0, 5)) == 0:
        topic, properties = "", draw(property_lists(table.PUBLISH, to_broker, need=0x23))
    packet_id = draw(packet_ids) if qos else None
    dup = bool(qos) and draw(st.booleans())
    payload = draw(st.binary(max_size=200))
    return p.Publish(topic, payload, qos, draw(st.booleans()), dup, packet_id, properties), level, to_broker


@st.composite
def acks(draw: st.DrawFn) -> Case:
    level, to_broker, kind = draw(st.sampled_from([4, 5])), draw(st.booleans()), draw(st.integers(4, 7))
    if level == 4:
        return p.Ack(kind, draw(packet_ids)), level, to_broker
    code = draw(st.sampled_from([0, 0x10, 0x80, 0x87, 0x99] if kind < 6 else [0, 0x92]))
    properties = draw(property_lists(kind, to_broker))
    return p.Ack(kind, draw(packet_ids), code, properties, draw(longhands(code, properties))), level, to_broker


def longhands(code: int, properties: p.Properties) -> st.SearchStrategy[int]:
    """Which forms there are beside the shortest."""
    if properties:
        return st.just(0)
    return st.sampled_from([0, 2] if code else [0, 1, 2])


@st.composite
def subscribes(draw: st.DrawFn) -> Case:
    level = draw(st.sampled_from([4, 5]))
    found = []
    for text in draw(st.lists(filters(), min_size=1, max_size=5)):
        qos = draw(st.integers(0, 2))
        if level == 4:
            found.append(p.Subscription(text, qos))
            continue
        no_local = not text.startswith("$share/") and draw(st.booleans())
        found.append(p.Subscription(text, qos, no_local, draw(st.booleans()), draw(st.integers(0, 2))))
    properties = draw(lists_for(level, table.SUBSCRIBE, True))
    return p.Subscribe(draw(packet_ids), tuple(found), properties), level, True


@st.composite
def subacks(draw: st.DrawFn) -> Case:
    level = draw(st.sampled_from([4, 5]))
    known = [0, 1, 2, 0x80] if level == 4 else [0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2]
    codes = draw(st.lists(st.sampled_from(known), min_size=1, max_size=8))
    return p.Suback(draw(packet_ids), tuple(codes), draw(lists_for(level, table.SUBACK, False))), level, False


@st.composite
def unsubscribes(draw: st.DrawFn) -> Case:
    level = draw(st.sampled_from([4, 5]))
    texts = draw(st.lists(filters(), min_size=1, max_size=5))
    return p.Unsubscribe(draw(packet_ids), tuple(texts), draw(lists_for(level, table.UNSUBSCRIBE, True))), level, True


@st.composite
def unsubacks(draw: st.DrawFn) -> Case:
    level = draw(st.sampled_from([4, 5]))
    if level == 4:
        return p.Unsuback(draw(packet_ids)), level, False
    codes = draw(st.lists(st.sampled_from([0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]), min_size=1, max_size=8))
    return p.Unsuback(draw(packet_ids), tuple(codes), draw(property_lists(table.UNSUBACK, False))), level, False


@st.composite
def disconnects(draw: st.DrawFn) -> Case:
    level, to_broker = draw(st.sampled_from([(4, True), (5, True), (5, False)]))
    if level == 4:
        return p.Disconnect(), level, to_broker
    code = draw(st.sampled_from([0, 0x80, 0x81, 0x98, 0x9C, *([4] if to_broker else [])]))
    properties = draw(property_lists(table.DISCONNECT, to_broker))
    return p.Disconnect(code, properties, draw(longhands(code, properties))), level, to_broker


@st.composite
def auths(draw: st.DrawFn) -> Case:
    to_broker = draw(st.booleans())
    if draw(st.integers(0, 4)) == 0:
        return p.Auth(), 5, to_broker
    code = draw(st.sampled_from([0x18, 0x19 if to_broker else 0]))
    return p.Auth(code, draw(property_lists(table.AUTH, to_broker, need=0x15))), 5, to_broker


pings = st.tuples(st.booleans(), st.sampled_from([4, 5])).map(lambda each: (p.Ping(each[0]), each[1], not each[0]))

cases: st.SearchStrategy[Case] = st.one_of(
    publishes(), connects(), connacks(), acks(), subscribes(), subacks(), unsubscribes(), unsubacks(), disconnects(),
    auths(), pings,
)  # fmt: skip
