"""The layout of every type, as docs/src/spec describes it, and one strict decoder and encoder for all of them.

A type here is a small object with `read` and `write`. Integers are little-endian and of fixed size, lengths are u64, an option
and a bool are one byte of 0 or 1. Nothing is skipped and nothing may be left over. Knows no signatures and no rules.
"""

from types import SimpleNamespace

FRAME_BYTES = 1024 * 1024


class Refused(Exception):
    """Bytes are not what they should be; the first argument is the reason in one word."""

    @property
    def reason(self) -> str:
        return self.args[0]


class Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Refused("malformed", f"{count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]


class Int:
    def __init__(self, size: int):
        self.size = size

    def read(self, reader: Reader) -> int:
        return int.from_bytes(reader.take(self.size), "little")

    def write(self, value: int) -> bytes:
        return value.to_bytes(self.size, "little")


class Fixed:
    """So many bytes as they are."""

    def __init__(self, size: int):
        self.size = size

    def read(self, reader: Reader) -> bytes:
        return reader.take(self.size)

    def write(self, value: bytes) -> bytes:
        assert len(value) == self.size
        return value


class Bool:
    def read(self, reader: Reader) -> bool:
        byte = reader.take(1)[0]
        if byte > 1:
            raise Refused("malformed", f"{byte} is neither 0 nor 1")
        return byte == 1

    def write(self, value: bool) -> bytes:
        return bytes([value])


class Blob:
    def read(self, reader: Reader) -> bytes:
        return reader.take(U64.read(reader))

    def write(self, value: bytes) -> bytes:
        return U64.write(len(value)) + value


class Text:
    def read(self, reader: Reader) -> str:
        try:
            return BLOB.read(reader).decode("utf-8", "strict")
        except UnicodeDecodeError as error:
            raise Refused("malformed", str(error)) from error

    def write(self, value: str) -> bytes:
        return BLOB.write(value.encode("utf-8"))


class Option:
    def __init__(self, of):
        self.of = of

    def read(self, reader: Reader):
        return self.of.read(reader) if BOOL.read(reader) else None

    def write(self, value) -> bytes:
        return b"\0" if value is None else b"\1" + self.of.write(value)


class List:
    def __init__(self, of):
        self.of = of

    def read(self, reader: Reader) -> list:
        # No count is believed: a list that claims more than the bytes hold ends at the first element that is not there.
        count, items = U64.read(reader), []
        while len(items) < count:
            items.append(self.of.read(reader))
        return items

    def write(self, value: list) -> bytes:
        return U64.write(len(value)) + b"".join(map(self.of.write, value))


class Tuple:
    def __init__(self, *parts):
        self.parts = parts

    def read(self, reader: Reader) -> list:
        return [part.read(reader) for part in self.parts]

    def write(self, value) -> bytes:
        return b"".join(part.write(item) for part, item in zip(self.parts, value, strict=True))


class Struct:
    """Named parts, one after the other."""

    def __init__(self, **parts):
        self.parts = parts

    def read(self, reader: Reader) -> SimpleNamespace:
        return SimpleNamespace(**{name: part.read(reader) for name, part in self.parts.items()})

    def write(self, value: SimpleNamespace) -> bytes:
        return b"".join(part.write(getattr(value, name)) for name, part in self.parts.items())

    def without(self, name: str) -> "Struct":
        return Struct(**{part: of for part, of in self.parts.items() if part != name})


def decode(of, data: bytes, limit: int = FRAME_BYTES):
    if len(data) > limit:
        raise Refused("too_long", f"{len(data)} bytes")
    reader = Reader(data)
    value = of.read(reader)
    if reader.at != len(data):
        raise Refused("malformed", f"{len(data) - reader.at} bytes too many")
    if of.write(value) != data:
        raise Refused("not_canonical", "encodes otherwise")
    return value


U16, U32, U64 = Int(2), Int(4), Int(8)
BOOL, BLOB, TEXT = Bool(), Blob(), Text()
HASH = COMPANY = CHAT = KEY = Fixed(32)
HANDLE = LOCAL = NONCE_16 = Fixed(16)
SIGNATURE = Fixed(64)
CLOCK = TIME = U64

FIELDS = List(Struct(number=U16, value=BLOB))
POSITION = Struct(term=U32, seq=U64, hash=HASH)
HEAD = Struct(seq=U64, hash=HASH)
STREAM = Struct(company=COMPANY, node=KEY, incarnation=U64)
EVENT_ID = Struct(envelope=HASH, place=U16)
CUT = Struct(stream=STREAM, heads=List(HEAD))
TIP = Struct(head=HEAD, clock=CLOCK, owner_at=POSITION, identity_seq=U64, epoch=U32)

# Companies.
IDENTITY_HEADER = Struct(
    version=U16,
    suite=U16,
    company=COMPANY,
    seq=U64,
    prev=HASH,
    time=TIME,
    name=TEXT,
    domains=List(TEXT),
    node_keys=List(KEY),
    root=KEY,
    next_root=HASH,
    fields=FIELDS,
)
SIGNED_IDENTITY = Struct(header=BLOB, signature=SIGNATURE)
PREKEY_BUNDLE = Struct(
    company=COMPANY, node=KEY, version=U32, created=TIME, public=Fixed(32), fields=FIELDS, signature=SIGNATURE
)
WRAP = Struct(chat=CHAT, epoch=U32, recipient=COMPANY, prekey_version=U32, encapsulated=Fixed(32), sealed=BLOB)
TICKET = Struct(company=COMPANY, node=KEY, token=Fixed(16), expires=TIME, addresses=List(TEXT))
PAIR_REQUEST = Struct(
    company=COMPANY,
    node=KEY,
    token=Fixed(16),
    addresses=List(TEXT),
    identity=List(SIGNED_IDENTITY),
    fields=FIELDS,
    signature=SIGNATURE,
)
PAIR_REPLY = Struct(outcome=U16, identity=List(SIGNED_IDENTITY), fields=FIELDS)

# Owner logs.
ACCEPTANCE = Struct(
    chat=CHAT,
    invitation=POSITION,
    company=COMPANY,
    node=KEY,
    identity_at=POSITION,
    prekey=PREKEY_BUNDLE,
    fields=FIELDS,
    signature=SIGNATURE,
)
NEW_EPOCH = Struct(epoch=U32, commitment=HASH)
BODIES = {
    1: Struct(rules=U16, suite=U16, kind=U16, history=U16, nonce=NONCE_16, commitment=HASH),
    2: Struct(company=COMPANY, expires=TIME),
    3: Struct(acceptance=ACCEPTANCE, epoch=Option(NEW_EPOCH), base=List(Tuple(STREAM, TIP))),
    4: Struct(company=COMPANY, cut=List(CUT), epoch=NEW_EPOCH),
    5: Struct(),
    6: Struct(company=COMPANY, handle=HANDLE, barred=BOOL, cut=List(CUT)),
    7: NEW_EPOCH,
}
RECORD_HEADER = Struct(
    version=U16,
    suite=U16,
    chat=CHAT,
    term=U32,
    seq=U64,
    prev=HASH,
    owner=COMPANY,
    node=KEY,
    identity_at=POSITION,
    clock=CLOCK,
    kind=U16,
    body=BLOB,
    epoch=U32,
    payload_len=U32,
    payload_hash=HASH,
    fields=FIELDS,
)
SIGNED_RECORD = Struct(header=BLOB, signature=SIGNATURE, payload=BLOB)

# Envelopes.
EVENT_HEADER = Struct(clock=CLOCK, kind=U16, actor=HANDLE, payload_len=U32, payload_hash=HASH)
ENVELOPE_HEADER = Struct(
    version=U16,
    chat=CHAT,
    stream=STREAM,
    first_seq=U64,
    prev=HASH,
    owner_at=POSITION,
    identity_at=POSITION,
    epoch=U32,
    fields=FIELDS,
    events=List(EVENT_HEADER),
)
ENVELOPE = Struct(header=BLOB, signature=SIGNATURE, payloads=List(BLOB))
ERASURE = Struct(place=U16, kind=U16, proof=BLOB)
DELETE_PROOF = Struct(place=U16, envelope=ENVELOPE)
ITEM = Struct(envelope=ENVELOPE, erasures=List(ERASURE))

# Events, by kind, and the numbered fields of messages and edits.
FORWARDED = Struct(author=COMPANY, local=LOCAL, name=TEXT, nickname=TEXT, time=TIME, source=Option(Tuple(CHAT, EVENT_ID)))
MENTIONS = List(Struct(start=U32, length=U32, what=U16, id=BLOB))
CARD = Struct(local=LOCAL, name=TEXT, nickname=TEXT, title=TEXT, fields=FIELDS)
EVENTS = {
    1: Struct(text=TEXT, reply_to=Option(EVENT_ID), fields=FIELDS),
    2: Struct(target=EVENT_ID, text=TEXT, fields=FIELDS),
    3: Struct(target=EVENT_ID),
    4: Struct(target=EVENT_ID, emoji=TEXT, present=BOOL),
    5: Struct(action=U16, card=CARD),
    6: Struct(company=COMPANY, action=U16, nickname=TEXT),
    7: Struct(code=U16, words=List(TEXT)),
    8: Struct(old=List(Tuple(STREAM, HEAD))),
    9: Struct(target=EVENT_ID),
}

# Registers.
STATEMENT_CONTENT = Struct(
    version=U16,
    chat=CHAT,
    company=COMPANY,
    node=KEY,
    generation=U64,
    number=U64,
    time=TIME,
    owner_at=POSITION,
    heads=List(CUT),
    fields=FIELDS,
)
STATEMENT = Struct(content=STATEMENT_CONTENT, signature=SIGNATURE)
READ_ENTRY = Struct(handle=HANDLE, time=TIME, heads=List(CUT), fields=FIELDS)
READ_CONTENT = Struct(
    version=U16, chat=CHAT, company=COMPANY, node=KEY, part=U16, number=U64, epoch=U32, sealed=BLOB, fields=FIELDS
)
READ_REGISTER = Struct(content=READ_CONTENT, signature=SIGNATURE)
NUMBERS = List(Tuple(KEY, U64))
PART_NUMBERS = List(Tuple(KEY, U16, U64))

# Frames, by number.
FRONTIER_BODY = Struct(
    owner_at=Option(POSITION),
    streams=List(CUT),
    gaps=List(CUT),
    statements=NUMBERS,
    reads=PART_NUMBERS,
    missing_epochs=List(U32),
    processed=U64,
    reply=BOOL,
    answers=BOOL,
    fields=FIELDS,
)
FRAMES = {
    1: Struct(
        version=U16,
        build=TEXT,
        company=COMPANY,
        generation=U64,
        identity_at=POSITION,
        prekey=PREKEY_BUNDLE,
        time=TIME,
        fields=FIELDS,
    ),
    2: Struct(entries=List(Tuple(CHAT, Fixed(16))), last=BOOL),
    3: Struct(chat=CHAT, body=FRONTIER_BODY),
    4: Struct(company=COMPANY, records=List(SIGNED_IDENTITY)),
    5: Struct(chat=CHAT, records=List(SIGNED_RECORD)),
    6: Struct(chat=CHAT, sent_bytes=U64, items=List(ITEM)),
    7: List(WRAP),
    8: List(STATEMENT),
    9: List(READ_REGISTER),
    10: ACCEPTANCE,
    11: Struct(chat=CHAT, streams=List(CUT)),
    12: List(COMPANY),
}
