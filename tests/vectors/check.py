#!/usr/bin/env python3
"""Decodes and verifies the golden vectors without sharing a line with the Rust code: written from docs/src/spec.

    check.py             every vector is found sound, or refused for the reason that stands in its file
    check.py --selftest  a control: every sound vector is spoilt, one byte at a time, and each time that must be seen

Python 3.11, its standard library and PyNaCl. Exits 1 when anything is not as it should be.
"""

import sys

sys.dont_write_bytecode = True

import json
import pathlib
from types import SimpleNamespace

import crypto
import layout as l
import rules
from layout import Refused, decode

HERE = pathlib.Path(__file__).resolve().parent
# A long vector is spoilt at about this many places.
SPOILT_PLACES = 200
# What has no signature, seal or checksum: here only the content shows that a byte is another.
UNSIGNED = {"event", "frame", "pair_reply", "digest", "root_commitment", "fingerprint"}


class Checked(SimpleNamespace):
    """What was found: `value` as JSON would show it."""


def named(value):
    """Decoded content in the shape of the JSON files."""
    if isinstance(value, SimpleNamespace):
        return {name: named(part) for name, part in vars(value).items()}
    if isinstance(value, (list, tuple)):
        return [named(part) for part in value]
    return value


def agrees(found, written) -> bool:
    """Bytes stand in the files as hexadecimal digits, short ones as lists of numbers, signatures as two halves."""
    if isinstance(found, bytes):
        if isinstance(written, list) and len(found) == 64:
            written = "".join(written)
        return written == found.hex() or written == list(found)
    if isinstance(found, dict):
        return isinstance(written, dict) and found.keys() == written.keys() and all(
            agrees(part, written[name]) for name, part in found.items()
        )
    if isinstance(found, list):
        if isinstance(written, str):
            return all(isinstance(part, int) and part < 256 for part in found) and bytes(found).hex() == written
        return isinstance(written, list) and len(found) == len(written) and all(map(agrees, found, written))
    return type(found) is type(written) and found == written


# ---- One function for each type of vector -----------------------------------------------------------------------------------


def given(vector, name: str) -> bytes:
    return bytes.fromhex(vector["given"][name])


def signature(vector, data: bytes):
    key, made, message = data[:32], data[32:96], data[96:]
    rules.signed(key, vector["given"]["domain"], message, made)


def identity_log(vector, data: bytes):
    held = rules.identity_log(decode(l.List(l.SIGNED_IDENTITY), data), given(vector, "company"))
    for record, header in held:
        assert l.IDENTITY_HEADER.write(header) == record.header
    return [header for _, header in held]


def identities(given_logs: dict) -> dict:
    logs = {}
    for company, log in given_logs.items():
        records = decode(l.List(l.SIGNED_IDENTITY), bytes.fromhex(log))
        logs[bytes.fromhex(company)] = rules.identity_log(records, bytes.fromhex(company))
    return logs


def prekey_bundle(_, data: bytes):
    bundle = decode(l.PREKEY_BUNDLE, data)
    rules.prekey_bundle(bundle)
    return bundle


def wrap(vector, data: bytes):
    made = decode(l.WRAP, data)
    key = rules.unwrap(made, given(vector, "prekey_secret"), given(vector, "commitment"))
    if "key" in vector["given"]:
        assert key == given(vector, "key")
    if "ephemeral_material" in vector["given"]:
        again = rules.rewrap(made, key, given(vector, "ephemeral_material"), given(vector, "prekey_public"))
        assert again == data, "made here, the wrap has other bytes"
    return made


def ticket(_, data: bytes):
    text = data.decode("utf-8", "replace")
    content = rules.ticket(text)
    if rules.ticket_text(content) != "".join(text.split()).lower():
        raise Refused("not_canonical")
    return content


def pair_request(_, data: bytes):
    request = decode(l.PAIR_REQUEST, data)
    rules.pair_request(request)
    return request


def acceptance(_, data: bytes):
    answer = decode(l.ACCEPTANCE, data)
    rules.acceptance(answer)
    return answer


def owner_record(vector, data: bytes):
    record = decode(l.SIGNED_RECORD, data)
    header, body = rules.owner_record(record)
    assert l.RECORD_HEADER.write(header) == record.header
    title = crypto.open_sealed(given(vector, "epoch_key"), rules.record_associated(header), record.payload)
    known = body if header.kind != 5 else None
    return SimpleNamespace(header=header, body=known, title=title.decode() if title is not None else None)


def owner_log(vector, data: bytes):
    log, known = rules.OwnerLog(), identities(vector["given"]["identities"])
    for record in decode(l.List(l.SIGNED_RECORD), data):
        log.push(record, known)
    rules.require(log.chat == given(vector, "chat"), "wrong_prev", "another chat's log")
    return SimpleNamespace(needs_newer_version=log.newer)


def envelope(vector, data: bytes):
    sealed = decode(l.ENVELOPE, data)
    header = rules.envelope(sealed)
    assert l.ENVELOPE_HEADER.write(header) == sealed.header
    key = given(vector, "epoch_key")
    plains = [rules.open_payload(header, sealed.payloads, place, key) for place in range(len(header.events))]
    unreadable = [place for place, plain in enumerate(plains) if plain is None and sealed.payloads[place]]
    assert not unreadable, f"the payloads at {unreadable} do not open"
    return SimpleNamespace(hash=crypto.sha256(sealed.header), header=header, plains=plains)


def chain(_, data: bytes):
    return rules.chain(decode(l.List(l.ENVELOPE), data))


def disclosure(vector, data: bytes):
    sealed = decode(l.ENVELOPE, data)
    header = rules.envelope(sealed)
    return rules.show_payload(header, sealed.payloads, vector["given"]["place"], given(vector, "payload_key"))


def item(vector, data: bytes):
    known = vector["given"]["known"]
    companies, log = identities(known["identities"]), rules.OwnerLog()
    for record in decode(l.List(l.SIGNED_RECORD), bytes.fromhex(known["records"])):
        log.push(record, companies)
    keys = {int(epoch): bytes.fromhex(key) for epoch, key in known["epoch_keys"].items()}
    value = decode(l.ITEM, data)
    rules.item(value, given(vector, "chat"), log, companies, keys)
    return value


def event(vector, data: bytes):
    return rules.event(vector["given"]["kind"], data)


def statement(_, data: bytes):
    made = decode(l.STATEMENT, data)
    rules.statement(made)
    return made


def read_register(vector, data: bytes):
    made = decode(l.READ_REGISTER, data)
    entries = rules.read_register(made, given(vector, "epoch_key"))
    return SimpleNamespace(register=made, entries=entries)


def frame(_, data: bytes):
    rules.require(len(data) >= 2, "malformed")
    rules.require(len(data) <= l.FRAME_BYTES, "too_long")
    number = int.from_bytes(data[:2], "little")
    body = decode(l.FRAMES[number], data[2:]) if number in l.FRAMES else data[2:]
    fields = {1: lambda: body.fields, 3: lambda: body.body.fields}.get(number, list)()
    rules.require(rules.ascending(fields), "malformed", "fields")
    return SimpleNamespace(number=number, body=body)


def digest(vector, data: bytes):
    if data:
        decode(l.Tuple(l.List(l.CUT), l.List(l.CUT), l.NUMBERS, l.PART_NUMBERS), data)
    return crypto.sha256(rules.tag("digest"), given(vector, "owner"), data)[:16]


JUDGES = {
    "signature": signature,
    "identity_log": identity_log,
    "root_commitment": lambda _, data: rules.root_commitment(data),
    "fingerprint": lambda _, data: rules.fingerprint(data),
    "prekey_bundle": prekey_bundle,
    "wrap": wrap,
    "ticket": ticket,
    "pair_request": pair_request,
    "pair_reply": lambda _, data: decode(l.PAIR_REPLY, data),
    "acceptance": acceptance,
    "owner_record": owner_record,
    "owner_log": owner_log,
    "envelope": envelope,
    "chain": chain,
    "disclosure": disclosure,
    "item": item,
    "event": event,
    "statement": statement,
    "read_register": read_register,
    "frame": frame,
    "digest": digest,
}


# ---- Running ---------------------------------------------------------------------------------------------------------------


def raw(vector) -> bytes:
    return bytes.fromhex(vector["bytes"]) + bytes(vector.get("given", {}).get("zeros", 0))


def judge(vector, data: bytes):
    """The content as JSON would show it; raises `Refused`."""
    return named(JUDGES[vector["type"]]({"given": {}, **vector}, data))


def complaint(vector):
    """What is wrong with a vector, or None."""
    try:
        found = judge(vector, raw(vector))
    except Refused as refusal:
        if "refused" not in vector:
            return f"sound, but refused here: {refusal.args}"
        return None if refusal.reason == vector["refused"] else f"{refusal.args} here, not {vector['refused']}"
    except AssertionError as error:
        return f"{error}"
    if "refused" in vector:
        return f"taken here, should be refused: {vector['refused']}"
    return None if agrees(found, vector.get("value")) else f"other content: {found}"


def goes_unseen(vector, data: bytes, at: int) -> bool:
    """One bit is another, and nothing shows it. What is signed or sealed must be refused without looking at the content."""
    spoilt = bytearray(data)
    spoilt[at] ^= 1
    try:
        found = judge(vector, bytes(spoilt))
    except (Refused, AssertionError):
        return False
    return vector["type"] not in UNSIGNED or agrees(found, vector.get("value"))


def files() -> dict:
    return {path.name: json.loads(path.read_text()) for path in sorted(HERE.glob("*.json"))}


def check() -> int:
    wrong, sound, refused, types = [], 0, 0, set()
    for name, group in files().items():
        for vector in group["vectors"]:
            types.add(vector["type"])
            refused, sound = refused + ("refused" in vector), sound + ("refused" not in vector)
            said = complaint(vector)
            if said:
                wrong.append(f"{name}: {vector['name']}: {said[:400]}")
    missing = sorted(JUDGES.keys() - types)
    wrong += [f"no vector of type {name}" for name in missing]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{len(files())} files, {len(types)} types: {sound} sound vectors, {refused} to be refused, {len(wrong)} wrong")
    return 1 if wrong or not sound or not refused else 0


def selftest() -> int:
    unseen, places, spoilt = [], 0, 0
    for name, group in files().items():
        for vector in group["vectors"]:
            if "refused" in vector:
                continue
            data = raw(vector)
            step, spoilt = max(1, len(data) // SPOILT_PLACES), spoilt + 1
            for at in range(0, len(data), step):
                if vector["type"] == "ticket" and data[at : at + 1].isspace():
                    continue  # White space in a ticket says nothing, whichever it is.
                places += 1
                if goes_unseen(vector, data, at):
                    unseen.append(f"{name}: {vector['name']}: byte {at}")
    print(*unseen, sep="\n", end="\n" if unseen else "")
    print(f"{spoilt} sound vectors spoilt at {places} places, {len(unseen)} not seen")
    return 1 if unseen or not places else 0


if __name__ == "__main__":
    crypto.check_rfc_9180()
    print("RFC 9180, A.2.1: as the RFC says")
    sys.exit(selftest() if sys.argv[1:] == ["--selftest"] else check() if not sys.argv[1:] else 2)
