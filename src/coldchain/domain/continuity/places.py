"""Where things may be done: registered sites, as continuity asks about them (domain §3)."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

from coldchain.domain.parties import Directory, site_of

EARTH_M = 6_371_000
_E7 = 10_000_000


class Sites:
    """What is registered. Where nothing is, places are not judged: nobody could have registered his."""

    def __init__(self, directory: Directory | None = None) -> None:
        self._directory = directory or Directory()
        self._ids = [one.id for one in self._directory.all("site")]
        self.since_us = min(
            (v.from_us for one in self._ids for v in self._directory.versions("site", one)), default=None
        )
        """From when on a site is registered; None: none ever was."""

    def known(self, t_us: int) -> bool:
        """Whether anybody had registered a site by then."""
        return self.since_us is not None and self.since_us <= t_us

    def registered(self, place: str, t_us: int) -> bool:
        """A `loc:` or `room:` of a registered site, or something that is itself no place on the map."""
        if place.startswith(("veh:", "cont:", "dev:")):
            return True
        return self._directory.at("site", site_of(place), t_us) is not None

    def is_site(self, stated: str, t_us: int) -> bool:
        """Whether what a claim calls a site was registered, or nobody had registered any."""
        place = stated if ":" in stated else f"loc:{stated}"
        return not self.known(t_us) or self.registered(place, t_us)

    def uses(self, place: str, t_us: int) -> frozenset[str]:
        return self._directory.uses(place, t_us)

    def permitted(self, place: str, t_us: int) -> bool:
        """Whether the site is registered for any handling of goods."""
        return bool(self.uses(place, t_us))

    def fence(self, place: str, t_us: int) -> tuple[int, int, int] | None:
        """Latitude and longitude, 1e-7 degree, and radius, metres, of the place's site."""
        site = self._directory.at("site", site_of(place), t_us)
        if site is None or site.stated.get("lat_e7") is None:
            return None
        return site.stated["lat_e7"], site.stated["lon_e7"], site.stated["radius_m"]

    def fenced(self, t_us: int) -> bool:
        """Whether any site had said where it is."""
        return any(self.fence(f"loc:{one}", t_us) for one in self._ids)

    def inside_any(self, lat_e7: int, lon_e7: int, t_us: int) -> bool:
        """Whether a position lies in the geofence of a registered site."""
        fences = (self.fence(f"loc:{one}", t_us) for one in self._ids)
        return any(f and metres(lat_e7, lon_e7, f[0], f[1]) <= f[2] for f in fences)

    def apart_m(self, one: str, other: str, t_us: int) -> int | None:
        """Least distance between two places, metres; None where either is not known."""
        a, b = self.fence(one, t_us), self.fence(other, t_us)
        if a is None or b is None:
            return None
        return max(0, metres(a[0], a[1], b[0], b[1]) - a[2] - b[2])


def metres(lat_a: int, lon_a: int, lat_b: int, lon_b: int) -> int:
    """Distance over ground of two positions in 1e-7 degree (haversine)."""
    a, b = radians(lat_a / _E7), radians(lat_b / _E7)
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians((lon_b - lon_a) / _E7) / 2) ** 2
    return round(2 * EARTH_M * asin(sqrt(min(1.0, half))))
