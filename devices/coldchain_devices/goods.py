"""Cases and pallets of a scenario, named as GS1 names them and as the ledger does."""

from __future__ import annotations

from dataclasses import dataclass, field


def check_digit(digits: str) -> str:
    """The GS1 mod-10 check digit that belongs behind these digits."""
    total = sum(int(digit) * (3 if i % 2 == 0 else 1) for i, digit in enumerate(reversed(digits)))
    return str(-total % 10)


@dataclass(frozen=True, slots=True)
class Product:
    """A trade item in one production lot. `item` is the indicator digit and the item reference together."""

    company: str
    item: str
    lot: str
    name: str

    @property
    def gtin(self) -> str:
        """GTIN-14."""
        digits = self.item[0] + self.company + self.item[1:]
        return digits + check_digit(digits)


@dataclass(frozen=True, slots=True)
class Case:
    """One carton with a serial number."""

    product: Product
    serial: str

    @property
    def name(self) -> str:
        """Subject name (ledger §5.1)."""
        return f"case:{self.product.gtin}/{self.serial}"

    @property
    def epc(self) -> str:
        """What its tag says: an SGTIN URN, which carries no check digit."""
        return f"urn:epc:id:sgtin:{self.product.company}.{self.product.item}.{self.serial}"


@dataclass(slots=True)
class Pallet:
    """A load on a board: its SSCC stays, `cases` is what physically stands on it now."""

    number: int
    product: Product
    cases: list[Case] = field(default_factory=list)

    @classmethod
    def of(cls, number: int, product: Product, size: int) -> Pallet:
        return cls(number, product, [Case(product, f"{number:02d}{case:03d}") for case in range(1, size + 1)])

    @property
    def _reference(self) -> str:
        """Extension digit 1, then the serial reference; 17 digits with the company prefix."""
        return "1" + f"{self.number:0{16 - len(self.product.company)}d}"

    @property
    def sscc(self) -> str:
        digits = self._reference[0] + self.product.company + self._reference[1:]
        return digits + check_digit(digits)

    @property
    def name(self) -> str:
        """Subject name (ledger §5.1)."""
        return f"sscc:{self.sscc}"

    @property
    def epc(self) -> str:
        return f"urn:epc:id:sscc:{self.product.company}.{self._reference}"
