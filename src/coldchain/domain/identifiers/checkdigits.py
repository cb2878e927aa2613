"""The check characters of domain §2. Each takes the body without its check character."""

from __future__ import annotations

from coldchain.domain.identifiers.spelling import digits

CREDIT_CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""GB 32100: without I, O, S, V and Z."""


def check_digit(body: str) -> str:
    """GS1 modulo 10 over digits without their check digit (GS1 General Specifications §7.9). Raises IdentifierError."""
    return gs1_digit(digits(body, body, 0, len(body)))


def gs1_digit(body: str) -> str:
    """The same for a body known to be ASCII digits: this runs for every id of every event."""
    codes = body.encode()
    heavy, light = codes[::-2], codes[-2::-2]
    return str((48 * (3 * len(heavy) + len(light)) - 3 * sum(heavy) - sum(light)) % 10)  # 48: the code of "0"


def container_digit(body: str) -> str:
    """ISO 6346: letters count 10, 12, 13 … without the multiples of 11; each place weighs twice the one before."""
    values = [int(c) if c.isdecimal() else (n := ord(c) - 55) + (n - 1) // 10 for c in body]
    return str(sum(worth << place for place, worth in enumerate(values)) % 11 % 10)


def credit_character(body: str) -> str:
    """GB 32100-2015, modulo 31: the weights are the powers of 3."""
    total = sum(CREDIT_CODE_ALPHABET.index(c) * pow(3, place, 31) for place, c in enumerate(body))
    return CREDIT_CODE_ALPHABET[-total % 31]


def licence_digit(body: str) -> str:
    """ISO 7064 MOD 11,10."""
    product = 10
    for digit in body:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return str((11 - product) % 10)
