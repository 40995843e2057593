"""A secret's mask that answers "is it the same one there?", and little else."""

from __future__ import annotations

from functools import lru_cache

from controlroom.redaction import MASK

__all__ = ["mask_of"]

_SHORTEST = 12  # characters; below, a person chose it or a list contains it
_DIGITS = 6
_PURPOSE = b"controlroom settings fingerprint 1"  # the salt is the same everywhere: hosts are to be compared


@lru_cache(maxsize=512)  # one explanation a run, and the redaction remembers the secrets anyway
def mask_of(secret: str) -> str:
    """Return "*** (length 40, fingerprint 3f9a1c)", or the mask alone for a secret shorter than 12 characters.

    Equal secrets have equal fingerprints on every host. A fingerprint is 24 bits of a memory-hard hash (scrypt, RFC 7914, 4
    MiB and about 10 ms), so it takes at most 24 bits from the secret, whatever the power of whoever reads the log: nothing
    from a random token, but too much from a word of a dictionary. A short secret has neither length nor fingerprint.
    """
    if len(secret) < _SHORTEST:
        return MASK
    digest = _digest(secret.encode("utf-8", "surrogatepass"))
    return f"{MASK} (length {len(secret)}{f', fingerprint {digest}' if digest else ''})"


def _digest(secret: bytes) -> str:
    import hashlib  # noqa: PLC0415 - loads OpenSSL, which settings that nobody explains do not need

    try:
        return hashlib.scrypt(secret, salt=_PURPOSE, n=2**12, r=8, p=1, dklen=32).hex()[:_DIGITS]
    except (AttributeError, ValueError):  # an OpenSSL without scrypt, or one in FIPS mode
        return ""
