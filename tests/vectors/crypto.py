"""The algorithms of suite 1: SHA-256, Ed25519 with strict verification, XChaCha20-Poly1305, HPKE base mode.

PyNaCl does the heavy work. What it leaves out is written here from the documents: the strict equation of Ed25519 (RFC 8032,
no cofactor, no small-order points) and HPKE (RFC 9180) around X25519 and ChaCha20-Poly1305. Knows no layout of Crossport.
"""

import functools
import hashlib
import hmac

import nacl.bindings
import nacl.exceptions
import nacl.signing

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


# ---- Ed25519 -------------------------------------------------------------------------------------------------------------


def point(encoded: bytes):
    """An encoded point as (x, y, z, t), or None. The encoding of y must be the reduced one."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def add(one, two):
    a = (one[1] - one[0]) * (two[1] - two[0]) % P
    b = (one[1] + one[0]) * (two[1] + two[0]) % P
    c = 2 * one[3] * two[3] * D % P
    d = 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar: int, of):
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, of)
        of, scalar = add(of, of), scalar >> 1
    return total


def same(one, two) -> bool:
    return (one[0] * two[2] - two[0] * one[2]) % P == 0 and (one[1] * two[2] - two[1] * one[2]) % P == 0


NEUTRAL = (0, 1, 1, 0)
BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def strictly_verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """RFC 8032, section 5.1.7, with the equation that is not multiplied by the cofactor; small-order A and R are refused."""
    key, commitment = point(public), point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= ORDER:
        return False
    if same(times(8, key), NEUTRAL) or same(times(8, commitment), NEUTRAL):
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    return same(times(scalar, BASE), add(commitment, times(challenge, key)))


@functools.lru_cache(maxsize=4096)
def verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Both must agree that it is good. RFC 8032 allows two equations, with and without the cofactor, and libraries differ in
    what they take at the edges: so libsodium is only the first, fast judge, and the strict equation above the last."""
    try:
        nacl.signing.VerifyKey(public).verify(message, signature)
    except (nacl.exceptions.BadSignatureError, nacl.exceptions.ValueError):
        return False
    return strictly_verifies(public, message, signature)


# ---- Sealing -------------------------------------------------------------------------------------------------------------


OVERHEAD = 24 + 32 + 16


def open_sealed(epoch_key: bytes, associated: bytes, sealed: bytes):
    """With the epoch's key, from which the payload's own is derived by HKDF-Expand."""
    return open_shown(expand(epoch_key, b"crossport/0/payload-key\0" + sealed[:24] + associated, 32), associated, sealed)


def open_shown(key: bytes, associated: bytes, sealed: bytes):
    """XChaCha20-Poly1305, nonce and commitment to the key in front. None when anything is not what was sealed."""
    if len(sealed) < OVERHEAD or sealed[24:56] != sha256(b"crossport/0/payload-commitment\0", key):
        return None
    try:
        return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[56:], associated, sealed[:24], key)
    except nacl.exceptions.CryptoError:
        return None


# ---- HPKE base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305 ----------------------------------------------

KEM_SUITE = b"KEM" + (0x0020).to_bytes(2, "big")
HPKE_SUITE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x0020, 0x0001, 0x0003))


def extract(salt: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), material, "sha256")


def expand(key: bytes, info: bytes, length: int) -> bytes:
    output, block, number = b"", b"", 1
    while len(output) < length:
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        output, number = output + block, number + 1
    return output[:length]


def labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return extract(salt, b"HPKE-v1" + suite + label + material)


def labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def derive_pair(material: bytes) -> tuple[bytes, bytes]:
    """DeriveKeyPair of RFC 9180, section 7.1.3: (private, public)."""
    key = labeled_extract(KEM_SUITE, b"", b"dkp_prk", material)
    private = labeled_expand(KEM_SUITE, key, b"sk", b"", 32)
    return private, nacl.bindings.crypto_scalarmult_base(private)


def shared_secret(dh: bytes, encapsulated: bytes, public: bytes) -> bytes:
    key = labeled_extract(KEM_SUITE, b"", b"eae_prk", dh)
    return labeled_expand(KEM_SUITE, key, b"shared_secret", encapsulated + public, 32)


def key_schedule(secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """(key, base nonce) of mode 0, without a pre-shared key."""
    context = b"\0" + labeled_extract(HPKE_SUITE, b"", b"psk_id_hash", b"")
    context += labeled_extract(HPKE_SUITE, b"", b"info_hash", info)
    root = labeled_extract(HPKE_SUITE, secret, b"secret", b"")
    return (
        labeled_expand(HPKE_SUITE, root, b"key", context, 32),
        labeled_expand(HPKE_SUITE, root, b"base_nonce", context, 12),
    )


def hpke_open(private: bytes, encapsulated: bytes, info: bytes, associated: bytes, sealed: bytes):
    """Single-shot OpenBase; None when it was not sealed for this."""
    try:
        dh = nacl.bindings.crypto_scalarmult(private, encapsulated)
        secret = shared_secret(dh, encapsulated, nacl.bindings.crypto_scalarmult_base(private))
        key, nonce = key_schedule(secret, info)
        return nacl.bindings.crypto_aead_chacha20poly1305_ietf_decrypt(sealed, associated, nonce, key)
    except (nacl.exceptions.CryptoError, nacl.exceptions.RuntimeError):
        return None


def hpke_seal(material: bytes, public: bytes, info: bytes, associated: bytes, plain: bytes) -> tuple[bytes, bytes]:
    """Single-shot SealBase with the sender's key pair derived from `material`: (encapsulated, sealed)."""
    private, encapsulated = derive_pair(material)
    secret = shared_secret(nacl.bindings.crypto_scalarmult(private, public), encapsulated, public)
    key, nonce = key_schedule(secret, info)
    return encapsulated, nacl.bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plain, associated, nonce, key)


# RFC 9180, appendix A.2.1 (base mode), with the first encryption.
RFC_9180_A_2_1 = {
    "info": "4f6465206f6e2061204772656369616e2055726e",
    "ikm_e": "909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b",
    "encapsulated": "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a",
    "ikm_r": "1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df",
    "public_r": "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a",
    "private_r": "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
    "shared_secret": "0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7",
    "key": "ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91",
    "base_nonce": "5c4d98150661b848853b547f",
    "plain": "4265617574792069732074727574682c20747275746820626561757479",
    "associated": "436f756e742d30",
    "sealed": "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28",
}


def check_rfc_9180() -> None:
    """This HPKE gives the values of the RFC, to the byte."""
    given = {name: bytes.fromhex(value) for name, value in RFC_9180_A_2_1.items()}
    assert derive_pair(given["ikm_r"]) == (given["private_r"], given["public_r"])
    sealed = hpke_seal(given["ikm_e"], given["public_r"], given["info"], given["associated"], given["plain"])
    assert sealed == (given["encapsulated"], given["sealed"])
    dh = nacl.bindings.crypto_scalarmult(given["private_r"], given["encapsulated"])
    assert shared_secret(dh, given["encapsulated"], given["public_r"]) == given["shared_secret"]
    assert key_schedule(given["shared_secret"], given["info"]) == (given["key"], given["base_nonce"])
    opened = hpke_open(given["private_r"], given["encapsulated"], given["info"], given["associated"], given["sealed"])
    assert opened == given["plain"]
