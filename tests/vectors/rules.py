"""What makes a decoded value sound: signatures, hashes, chains, limits and who may do what, as docs/src/spec says.

Each function takes bytes and what else it must know, and gives the content back or raises `Refused` with the reason.
"""

import re
import unicodedata
from types import SimpleNamespace

import layout as l
from crypto import OVERHEAD, hpke_open, hpke_seal, open_sealed, open_shown, sha256, verifies
from layout import Refused, decode

ZERO = bytes(32)
# Kinds of events that end another and are never erased: by its author, by an administrator.
DELETES = (3, 9)
SUITE = 1
START = SimpleNamespace(seq=0, hash=ZERO)

# docs/src/spec/limits.md
TEXT_CHARS = 65_536
PAYLOAD_BYTES = 320 * 1024
ENVELOPE_EVENTS = 256
ENVELOPE_PAYLOAD_BYTES = 512 * 1024
HEADER_BYTES = 32 * 1024
DELETE_EVENTS = 16
DELETE_HEADER_BYTES = 1_500
DELETE_PAYLOAD_BYTES = 106
PROOF_BYTES = 1_840
HEADS_PER_COMPANY = 64
CHAT_HEADS = 4_096
RECORD_BYTES = 768 * 1024
RECORD_PAYLOAD_BYTES = 64 * 1024
ACCEPTANCE_BYTES = 16 * 1024
CHAT_COMPANIES = 32
CHAT_COMPANIES_EVER = 64
READ_PARTS = 64
FIELDS = 64
NAME_BYTES = 512
EMOJI_BYTES = 64
NODE_KEYS = DOMAINS = ADDRESSES = 16
ADDRESS_BYTES = 256
PAIRING_BYTES = 64 * 1024
NOTICE_WORDS = 8
MENTIONS = 100
MENTION_ID_BYTES = 64
FORWARDED_BYTES = 2_048


def require(good: bool, reason: str, detail: str = "") -> None:
    if not good:
        raise Refused(reason, detail)


def tag(name: str) -> bytes:
    return b"crossport/0/" + name.encode() + b"\0"


def signed(key: bytes, domain: str, message: bytes, signature: bytes, reason: str = "bad_signature") -> None:
    require(verifies(key, tag(domain) + message, signature), reason, domain)


def ascending(fields) -> bool:
    numbers = [field.number for field in fields]
    return len(numbers) <= FIELDS and all(one < two for one, two in zip(numbers, numbers[1:]))


def same(one, two) -> bool:
    return vars(one) == vars(two)


# ---- Companies -----------------------------------------------------------------------------------------------------------


def identity_header(record):
    header = decode(l.IDENTITY_HEADER, record.header, HEADER_BYTES)
    long = [name for name in [header.name, *header.domains] if len(name.encode()) > NAME_BYTES]
    counts = len(header.domains) <= DOMAINS and len(header.node_keys) <= NODE_KEYS
    require(not long and counts and ascending(header.fields), "shape")
    require(header.version == 0 and header.suite == SUITE, "unsupported")
    return header


def identity_log(records, company: bytes) -> list:
    """The headers of a log that must be the company's."""
    held = []
    for record in records:
        header = identity_header(record)
        require(header.seq >= 1, "shape", "numbers begin at 1")
        if header.seq <= len(held):
            require(same(held[header.seq - 1][0], record), "fork")
            continue
        require(header.seq == len(held) + 1, "gap")
        if held:
            last_record, last = held[-1]
            require(header.prev == sha256(last_record.header) and header.company == company, "wrong_prev")
            require(root_commitment(header.root) == last.next_root, "wrong_root")
        else:
            require(header.prev == ZERO and header.company == ZERO, "wrong_prev")
            require(sha256(record.header) == company, "wrong_prev")
        signed(header.root, "identity", record.header, record.signature)
        held.append((record, header))
    require(bool(held), "gap", "an empty log")
    return held


def root_commitment(key: bytes) -> bytes:
    return sha256(tag("next-root"), key)


def key_listed(identities: dict, company: bytes, at, node: bytes) -> None:
    """The node key is the company's at the cited position."""
    held = identities.get(company, [])
    known = at.term == 0 and 1 <= at.seq <= len(held) and sha256(held[at.seq - 1][0].header) == at.hash
    require(known, "needs_identity")
    require(node in held[at.seq - 1][1].node_keys, "unknown_key")


def prekey_bundle(bundle) -> None:
    message = l.PREKEY_BUNDLE.without("signature").write(bundle)
    require(ascending(bundle.fields), "bad_signature")
    signed(bundle.node, "prekey", message, bundle.signature)


def commitment(chat: bytes, epoch: int, key: bytes) -> bytes:
    """The first epoch is committed to before the chat has an id."""
    return sha256(tag("epoch"), ZERO if epoch == 1 else chat, l.U32.write(epoch), key)


def wrap_info(wrap) -> bytes:
    return tag("wrap") + l.Struct(chat=l.CHAT, epoch=l.U32, recipient=l.COMPANY, prekey_version=l.U32).write(wrap)


def unwrap(wrap, secret: bytes, committed: bytes) -> bytes:
    key = hpke_open(secret, wrap.encapsulated, wrap_info(wrap), b"", wrap.sealed)
    require(key is not None and len(key) == 32, "bad_wrap")
    require(commitment(wrap.chat, wrap.epoch, key) == committed, "wrong_commitment")
    return key


def rewrap(wrap, key: bytes, material: bytes, public: bytes):
    """The same wrap, made here."""
    encapsulated, sealed = hpke_seal(material, public, wrap_info(wrap), b"", key)
    return l.WRAP.write(SimpleNamespace(**{**vars(wrap), "encapsulated": encapsulated, "sealed": sealed}))


LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def ticket(text: str):
    text = "".join(text.split()).lower()
    require(text.startswith("crossport1"), "prefix")
    bits = 0
    for letter in text[10:]:
        require(letter in LETTERS, "checksum")
        bits = bits << 5 | LETTERS.index(letter)
    spare = len(text[10:]) * 5 % 8
    require(spare < 5 and bits & ((1 << spare) - 1) == 0, "checksum", "a second spelling")
    data = (bits >> spare).to_bytes(len(text[10:]) * 5 // 8, "big")
    require(len(data) >= 4 and sha256(tag("ticket"), data[:-4])[:4] == data[-4:], "checksum")
    content = decode(l.TICKET, data[:-4], PAIRING_BYTES)
    require(addresses_fit(content.addresses), "shape")
    return content


def ticket_text(content) -> str:
    data = l.TICKET.write(content)
    data += sha256(tag("ticket"), data)[:4]
    pad = -len(data) * 8 % 5
    bits, count = int.from_bytes(data, "big") << pad, (len(data) * 8 + pad) // 5
    return "crossport1" + "".join(LETTERS[bits >> 5 * (count - 1 - at) & 31] for at in range(count))


def addresses_fit(addresses) -> bool:
    return len(addresses) <= ADDRESSES and all(len(address.encode()) <= ADDRESS_BYTES for address in addresses)


def pair_request(request) -> None:
    signed(request.node, "pair-request", l.PAIR_REQUEST.without("signature").write(request), request.signature)
    fits = addresses_fit(request.addresses) and ascending(request.fields)
    require(fits, "bad_signature", "too many addresses, or fields that do not ascend")


def fingerprint(company: bytes) -> str:
    consonants, vowels = "bdfghjklmnprstvz", "aiou"
    parts = [
        consonants[byte >> 4] + vowels[byte >> 2 & 3] + consonants[(byte & 3) * 4 + 3]
        for byte in sha256(tag("fingerprint"), company)[:12]
    ]
    return "-".join(one + two for one, two in zip(parts[::2], parts[1::2]))


# ---- Owner logs ----------------------------------------------------------------------------------------------------------


def acceptance(answer) -> None:
    together = answer.prekey.company == answer.company and answer.prekey.node == answer.node
    require(together, "bad_signature", "another company's prekey")
    prekey_bundle(answer.prekey)
    message = l.ACCEPTANCE.without("signature").write(answer)
    require(len(message) <= ACCEPTANCE_BYTES and ascending(answer.fields), "bad_signature")
    signed(answer.node, "acceptance", message, answer.signature)


def owner_record(record):
    """(header, body); a body of an unknown kind is None."""
    header = decode(l.RECORD_HEADER, record.header, RECORD_BYTES)
    require(header.version == 0 and header.suite == SUITE, "unsupported")
    require(ascending(header.fields), "shape")
    body = decode(l.BODIES[header.kind], header.body, RECORD_BYTES) if header.kind in l.BODIES else None
    lists(header.kind, body)
    if header.payload_len:
        require(OVERHEAD <= header.payload_len <= RECORD_PAYLOAD_BYTES, "shape", "payload length")
    else:
        require(header.payload_hash == ZERO, "shape", "the hash of no payload")
    if record.payload:
        require(len(record.payload) == header.payload_len, "shape", "payload")
        require(sha256(record.payload) == header.payload_hash, "shape", "payload")
    signed(header.node, "genesis" if header.kind == 1 else "owner-record", record.header, record.signature)
    return header, body


def lists(kind: int, body) -> None:
    """The lists in a body are bounded, and a cut is of one company."""
    if kind == 3:
        require(len(body.base) <= CHAT_HEADS, "rule", "the base")
    if kind in (4, 6):
        heads = sum(len(cut.heads) for cut in body.cut)
        require(len(body.cut) <= HEADS_PER_COMPANY and heads <= HEADS_PER_COMPANY, "rule", "the cut is too long")
        require(all(cut.stream.company == body.company for cut in body.cut), "rule", "the cut is another's")


def record_associated(header) -> bytes:
    parts = l.Struct(chat=l.CHAT, term=l.U32, seq=l.U64, prev=l.HASH, epoch=l.U32, clock=l.CLOCK, kind=l.U16)
    return tag("record-payload") + parts.write(header)


class OwnerLog:
    """The state of a chat's owner log, one record after the other."""

    def __init__(self):
        self.hashes, self.chat, self.owner = [], None, None
        self.full, self.newer = False, False
        self.ever = set()
        self.members, self.invitations = {}, {}
        self.epoch_at = []

    def head(self):
        return SimpleNamespace(term=0, seq=len(self.hashes), hash=self.hashes[-1])

    def push(self, record, identities: dict) -> None:
        header, body = owner_record(record)
        key_listed(identities, header.owner, header.identity_at, header.node)
        own_hash = sha256(record.header)
        if not self.hashes:
            return self.start(header, body, own_hash)
        require(header.seq >= 1, "shape")
        if header.seq <= len(self.hashes):
            return require(self.hashes[header.seq - 1] == own_hash, "fork")
        require(header.seq == len(self.hashes) + 1, "gap")
        linked = header.chat == self.chat and header.prev == self.hashes[-1] and header.term == 0
        require(linked, "wrong_prev")
        require(header.owner == self.owner, "not_owner")
        self.apply(header, body)
        self.hashes.append(own_hash)
        if header.kind == 2:
            self.invitations[body.company] = self.head()

    def start(self, header, body, own_hash: bytes) -> None:
        require(header.kind == 1, "rule", "a chat starts with its genesis")
        require((header.seq, header.prev, header.chat) == (1, ZERO, ZERO), "wrong_prev")
        require(body.suite == header.suite, "unsupported")
        self.hashes, self.chat, self.owner = [own_hash], own_hash, header.owner
        self.full = body.history == 1
        self.newer = body.rules != 1 or not 1 <= body.kind <= 5 or body.history not in (1, 2)
        self.members[header.owner] = True
        self.ever.add(header.owner)
        self.epoch_at = [1]

    def new_epoch(self, epoch) -> None:
        require(epoch.epoch == self.epoch_at[-1] + 1, "rule", "epochs are numbered one by one")

    def apply(self, header, body) -> None:
        epochs = self.epoch_at[-1]
        match header.kind:
            case 1:
                raise Refused("rule", "a second genesis")
            case 2:
                require(body.company not in self.members, "rule", "it takes part already")
                self.room(body.company)
            case 3:
                epochs = self.add(body)
            case 4:
                epochs = self.remove(body)
            case 7:
                self.new_epoch(body)
                epochs = body.epoch
            case kind if kind > 7:
                self.newer |= kind < 0x8000
        self.epoch_at.append(epochs)

    def room(self, company: bytes) -> None:
        require(len(self.members) < CHAT_COMPANIES, "rule", "too many companies")
        require(company in self.ever or len(self.ever) < CHAT_COMPANIES_EVER, "rule", "too many companies ever")

    def add(self, body) -> int:
        answer = body.acceptance
        require(answer.company in self.invitations, "rule", "no invitation is open")
        fits = answer.chat == self.chat and same(answer.invitation, self.invitations[answer.company])
        require(fits, "rule", "an acceptance of another invitation")
        self.room(answer.company)
        acceptance(answer)
        require(self.full == (body.epoch is None), "rule", "a new epoch unless history is full")
        if body.epoch:
            self.new_epoch(body.epoch)
        del self.invitations[answer.company]
        self.members[answer.company] = True
        self.ever.add(answer.company)
        return body.epoch.epoch if body.epoch else self.epoch_at[-1]

    def remove(self, body) -> int:
        require(body.company != self.owner, "rule", "the owner cannot be removed")
        require(body.company in self.members, "rule", "it does not take part")
        self.new_epoch(body.epoch)
        del self.members[body.company]
        return body.epoch.epoch


# ---- Envelopes -----------------------------------------------------------------------------------------------------------


def envelope(sealed):
    header = decode(l.ENVELOPE_HEADER, sealed.header, HEADER_BYTES)
    require(header.version == 0, "unsupported")
    require(1 <= len(header.events) <= ENVELOPE_EVENTS, "shape", "number of events")
    require(1 <= header.first_seq <= 2**64 - 1 - ENVELOPE_EVENTS, "shape", "first sequence number")
    require((header.first_seq == 1) == (header.prev == ZERO), "shape", "previous hash")
    require(ascending(header.fields), "shape", "fields")
    lengths = [event.payload_len for event in header.events]
    require(all(OVERHEAD <= length <= PAYLOAD_BYTES for length in lengths), "shape", "payload length")
    require(sum(lengths) <= ENVELOPE_PAYLOAD_BYTES, "shape", "payloads together")
    clocks = [event.clock for event in header.events]
    require(all(one < two for one, two in zip(clocks, clocks[1:])), "clock_order")
    deletes = [event.payload_len for event in header.events if event.kind in DELETES]
    if deletes:
        require(len(header.events) <= DELETE_EVENTS, "shape", "a delete among too many")
        require(len(sealed.header) <= DELETE_HEADER_BYTES, "shape", "a delete under a long header")
        require(max(deletes) <= DELETE_PAYLOAD_BYTES, "shape", "a long delete")
    require(len(sealed.payloads) == len(header.events), "shape", "number of payloads")
    for payload, event in zip(sealed.payloads, header.events):
        whole = len(payload) == event.payload_len and sha256(payload) == event.payload_hash
        require(not payload or whole, "payload_hash")
    signed(header.stream.node, "envelope", sealed.header, sealed.signature)
    return header


def payload_associated(header, place: int) -> bytes:
    event = header.events[place]
    parts = l.Tuple(l.CHAT, l.STREAM, l.U64, l.U32, l.CLOCK, l.U16, l.HANDLE)
    seq = header.first_seq + place
    return tag("payload") + parts.write(
        [header.chat, header.stream, seq, header.epoch, event.clock, event.kind, event.actor]
    )


def open_payload(header, payloads, place: int, key: bytes):
    """The plain content; None when it is erased or cannot be opened."""
    return open_sealed(key, payload_associated(header, place), payloads[place]) if payloads[place] else None


def show_payload(header, payloads, place: int, key: bytes) -> bytes:
    """The plain content for somebody who was shown its key and knows no other."""
    plain = open_shown(key, payload_associated(header, place), payloads[place])
    require(plain is not None, "unreadable")
    return plain


def head_of(sealed, header):
    return SimpleNamespace(seq=header.first_seq + len(header.events) - 1, hash=sha256(sealed.header))


def chain(envelopes):
    """The head of a stream that is read from its first envelope on."""
    head, last, stream = START, None, None
    for sealed in envelopes:
        header = envelope(sealed)
        require(stream is None or same(stream, header.stream), "gap", "another stream")
        require((header.first_seq, header.prev) == (head.seq + 1, head.hash), "gap")
        if last:
            require(header.events[0].clock > last.events[-1].clock, "clock_went_back")
            owner_back = (header.owner_at.term, header.owner_at.seq) < (last.owner_at.term, last.owner_at.seq)
            earlier = owner_back or header.identity_at.seq < last.identity_at.seq
            require(not earlier, "citation_went_back")
            require(header.epoch >= last.epoch, "epoch_went_back")
        head, last, stream = head_of(sealed, header), header, header.stream
    require(last is not None, "gap")
    return head


def item(value, chat: bytes, log: OwnerLog, identities: dict, keys: dict) -> None:
    """An envelope as a member takes it, which is the first of its stream."""
    header = envelope(value.envelope)
    require(header.chat == chat, "other_chat")
    cited = header.owner_at
    require(cited.seq <= len(log.hashes), "needs_owner")
    require(cited.term == 0 and log.hashes[cited.seq - 1] == cited.hash, "contradicts_owner")
    key_listed(identities, header.stream.company, header.identity_at, header.stream.node)
    require(header.epoch == log.epoch_at[cited.seq - 1], "wrong_epoch")
    erased = [place for place, payload in enumerate(value.envelope.payloads) if not payload]
    require([claim.place for claim in value.erasures] == erased, "unproven_erasure", "one proof for each, no other")
    for claim in value.erasures:
        erasure(claim, value.envelope, header, identities, keys, log.owner)


def erasure(claim, target, header, identities: dict, keys: dict, owner: bytes) -> None:
    """The delete event that names this payload: by the same person, or by an administrator who may."""
    require(claim.kind in (1, 2), "unknown_proof")
    try:
        delete = decode(l.DELETE_PROOF, claim.proof, PROOF_BYTES)
    except Refused as refusal:
        raise Refused("bad_envelope", refusal.args) from refusal
    proof, place, by = envelope(delete.envelope), claim.place, delete.place
    require(by < len(proof.events), "unproven_erasure")
    event, erased = proof.events[by], header.events[place]
    of_author = proof.stream.company == header.stream.company
    if claim.kind == 1:
        may = event.kind == 3 and of_author and event.actor == erased.actor
    else:
        may = event.kind == 9 and event.actor != bytes(16) and (of_author or proof.stream.company == owner)
    require(proof.chat == header.chat and may, "unproven_erasure")
    require(erased.kind not in DELETES, "unproven_erasure", "a delete is never erased")
    try:
        key_listed(identities, proof.stream.company, proof.identity_at, proof.stream.node)
    except Refused as refusal:
        raise Refused("needs_identity" if refusal.reason == "needs_identity" else "unproven_erasure") from refusal
    require(proof.epoch in keys, "needs_key")
    plain = open_payload(proof, delete.envelope.payloads, by, keys[proof.epoch])
    require(plain is not None, "unproven_erasure")
    named = decode(l.EVENTS[event.kind], plain, PAYLOAD_BYTES).target
    require((named.envelope, named.place) == (sha256(target.header), place), "unproven_erasure")


# ---- Content -------------------------------------------------------------------------------------------------------------

REORDERS_OR_HIDES = re.compile("[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def is_control(text: str) -> bool:
    return any(unicodedata.category(letter) == "Cc" for letter in text)


def check_text(text: str) -> None:
    require(bool(text.strip()), "empty")
    require(len(text) <= TEXT_CHARS, "text_too_long")
    require(not is_control(text.replace("\n", "").replace("\t", "")), "control")


def check_name(name: str) -> None:
    require(len(name.encode()) <= NAME_BYTES, "text_too_long")
    require(not REORDERS_OR_HIDES.search(name) and not is_control(name), "control")


def mentions(text: str, fields) -> None:
    """Stretches of the text, in bytes: within it, between characters, ascending, not overlapping."""
    for field in fields:
        if field.number != 1:
            continue
        found, end, data = decode(l.MENTIONS, field.value, PAYLOAD_BYTES), 0, text.encode()
        require(1 <= len(found) <= MENTIONS, "shape", "number of mentions")
        for mention in found:
            require(mention.length > 0 and mention.start >= end, "shape", "order of mentions")
            end = mention.start + mention.length
            borders = [at == len(data) or data[at] & 0xC0 != 0x80 for at in (mention.start, end) if at <= len(data)]
            require(borders == [True, True], "shape", "borders of a mention")
            length = {1: 48, 2: 32}.get(mention.what)
            sound = len(mention.id) == length if length else len(mention.id) <= MENTION_ID_BYTES
            require(sound, "shape", "id of a mention")


def forwarded(fields) -> None:
    for field in fields:
        if field.number == 2:
            origin = decode(l.FORWARDED, field.value, FORWARDED_BYTES)
            check_name(origin.name)
            check_name(origin.nickname)


def event(kind: int, plain: bytes):
    """The content of an event; of a kind that is not known the bytes as they are."""
    if kind not in l.EVENTS:
        return plain
    content = decode(l.EVENTS[kind], plain, PAYLOAD_BYTES)
    if kind in (1, 2):
        require(ascending(content.fields), "shape")
        check_text(content.text)
        mentions(content.text, content.fields)
        forwarded(content.fields if kind == 1 else [])
    elif kind == 4:
        emoji = content.emoji
        plain_letters = emoji.isascii() or is_control(emoji) or re.search(r"\s", emoji)
        require(len(emoji.encode()) <= EMOJI_BYTES and not plain_letters, "not_an_emoji")
    elif kind == 5:
        require(ascending(content.card.fields), "shape")
        for name in (content.card.name, content.card.nickname, content.card.title):
            check_name(name)
    elif kind == 6:
        require(bool(content.nickname), "empty")
        check_name(content.nickname)
    elif kind == 7:
        require(len(content.words) <= NOTICE_WORDS, "shape")
        for word in content.words:
            check_name(word)
    elif kind == 8:
        require(len(content.old) <= HEADS_PER_COMPANY, "shape")
    return content


# ---- Registers -----------------------------------------------------------------------------------------------------------


def statement(made) -> None:
    require(made.content.version == 0 and ascending(made.content.fields), "bad_register")
    signed(made.content.node, "statement", l.STATEMENT_CONTENT.write(made.content), made.signature, "bad_register")


def read_register(made, key: bytes) -> list:
    content = made.content
    require(content.version == 0 and content.part < READ_PARTS and ascending(content.fields), "bad_register")
    signed(content.node, "read-register", l.READ_CONTENT.write(content), made.signature, "bad_register")
    place = l.READ_CONTENT.without("version").without("sealed").without("fields").write(content)
    plain = open_sealed(key, tag("read-entries") + place, content.sealed)
    require(plain is not None, "unreadable")
    entries = decode(l.List(l.READ_ENTRY), plain)
    require(all(ascending(entry.fields) for entry in entries), "unreadable")
    return entries
