"""The Core Business Vocabulary, release 2.0: its words, and every way to spell one (CBV 2.0 §7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

CBV = "https://ref.gs1.org/cbv/"
GS1 = "https://gs1.org/voc/"
URN = "urn:epcglobal:cbv:"


class Vocabulary(NamedTuple):
    """One list of words."""

    what: str
    """Its name in a sentence."""
    web: str
    """What stands before the word in its web URI."""
    urn: str
    """What stands before the word in its older URN; "" where there is none."""
    words: frozenset[str]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BIZ_STEP = Vocabulary(
    "CBV business step",
    CBV + "BizStep-",
    URN + "bizstep:",
    _words(
        "accepting arriving assembling collecting commissioning consigning creating_class_instance cycle_counting "
        "decommissioning departing destroying disassembling dispensing encoding entering_exiting holding inspecting "
        "installing killing loading other packing picking receiving removing repackaging repairing replacing "
        "reserving retail_selling sampling sensor_reporting shipping staging_outbound stock_taking stocking storing "
        "transporting unloading unpacking void_shipping"
    ),
)
DISPOSITION = Vocabulary(
    "CBV disposition",
    CBV + "Disp-",
    URN + "disp:",
    _words(
        "active available completeness_inferred completeness_verified conformant container_closed container_open "
        "damaged destroyed dispensed disposed encoded expired in_progress in_transit inactive mismatch_class "
        "mismatch_instance mismatch_quantity needs_replacement no_pedigree_match non_conformant non_sellable_other "
        "partially_dispensed recalled reserved retail_sold returned sellable_accessible sellable_not_accessible "
        "stolen unavailable unknown"
    ),
)
BIZ_TRANSACTION = Vocabulary(
    "CBV business transaction type",
    CBV + "BTT-",
    URN + "btt:",
    _words("bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt"),
)
SOURCE_DESTINATION = Vocabulary(
    "CBV source or destination type",
    CBV + "SDT-",
    URN + "sdt:",
    frozenset(("location", "owning_party", "possessing_party")),
)
ERROR_REASON = Vocabulary("CBV error reason", CBV + "ER-", URN + "er:", frozenset(("did_not_occur", "incorrect_data")))
COMPONENT = Vocabulary(
    "CBV component",
    CBV + "Comp-",
    "",
    _words(
        "altitude axial_distance azimuth easting elevation_angle height latitude longitude northing polar_angle "
        "spherical_radius x y z"
    ),
)
MEASUREMENT = Vocabulary(
    "measurement type of the GS1 Web Vocabulary",
    GS1,
    "",
    _words(
        "AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Altitude AmountOfSubstance "
        "AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum AngularVelocity Area Capacitance "
        "Conductance Conductivity Count Density Dimensionless DoseEquivalent DoseEquivalentRate DynamicViscosity "
        "ElectricCharge ElectricCurrent ElectricCurrentDensity ElectricFieldStrength Energy Exposure Force Frequency "
        "Illuminance Inductance Irradiance KinematicViscosity Length LinearMomentum Luminance LuminousFlux "
        "LuminousIntensity MagneticFlux MagneticFluxDensity MagneticVectorPotential Mass MassConcentration "
        "MassFlowRate MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy MolarMass MolarVolume Power "
        "Pressure RadiantFlux RadiantIntensity Radioactivity RelativeHumidity Resistance Resistivity SolidAngle "
        "SpecificVolume Speed SurfaceDensity SurfaceTension Temperature Time Torque Voltage Volume VolumeFlowRate "
        "VolumeFraction VolumetricFlux Wavenumber"
    ),
)
ALERT = Vocabulary("sensor alert type", GS1, "", frozenset(("ALARM_CONDITION", "ERROR_CONDITION")))

_SPELLINGS = (
    (re.compile(r"(?:cbv:|https?://(?:(?:ref|ns)\.)?gs1\.org/cbv/)(?!mda:)"), CBV),
    (re.compile(r"(?:gs1:|https?://(?:(?:www|ref)\.)?gs1\.org/voc/)"), GS1),
)
"""Prefixes and older addresses of the two web namespaces."""

UNITS: Mapping[str, frozenset[str]] = {
    "Temperature": frozenset(("CEL", "FAH", "KEL", "A48")),
    "Mass": frozenset(("KGM", "GRM", "MGM", "MC", "TNE", "LBR", "ONZ", "HGM", "DTN", "STN", "LTN")),
    "Length": frozenset(("MTR", "CMT", "MMT", "KMT", "DMT", "4H", "C45", "INH", "FOT", "YRD", "SMI", "NMI")),
    "Volume": frozenset(("LTR", "MLT", "CLT", "DLT", "HLT", "MTQ", "CMQ", "DMQ", "MMQ", "FTQ", "INQ", "GLL", "GLI")),
    "Area": frozenset(("MTK", "CMK", "DMK", "MMK", "KMK", "HAR", "FTK", "INK", "YDK")),
    "Speed": frozenset(("MTS", "KMH", "HM", "KNT", "2M", "C16", "M62")),
    "Pressure": frozenset(("PAL", "A97", "KPA", "MPA", "BAR", "MBR", "ATM", "PS", "HN", "UA")),
    "Time": frozenset(("SEC", "MIN", "HUR", "DAY", "C26", "B98", "WEE", "MON", "ANN")),
    "Frequency": frozenset(("HTZ", "KHZ", "MHZ", "A86", "D29")),
    "Voltage": frozenset(("VLT", "2Z", "KVT", "D82", "B78")),
    "ElectricCurrent": frozenset(("AMP", "4K", "B84", "B22")),
    "Power": frozenset(("WTT", "KWT", "MAW", "C31", "A90", "D80", "BHP")),
    "Energy": frozenset(("JOU", "KJO", "3B", "KWH", "WHR", "MWH", "BTU", "K51")),
    "Illuminance": frozenset(("LUX", "KLX")),
}
"""UN/ECE Recommendation 20 codes of quantities met in a cold chain. A code in here belongs to its quantity alone."""
UNIT_OF = {code: quantity for quantity, codes in UNITS.items() for code in codes}


@lru_cache(8_192)
def known(vocabulary: Vocabulary, value: str) -> str | None:
    """The bare word where the value is one of this vocabulary, however spelled; else None."""
    if value in vocabulary.words:
        return value
    full = _full(value)
    for start in (vocabulary.web, vocabulary.urn):
        if start and full.startswith(start) and (word := full[len(start) :]) in vocabulary.words:
            return word
    return None


def word_of(vocabulary: Vocabulary, value: str) -> str:
    """The bare word of a standard value; any other value unchanged."""
    return known(vocabulary, value) or value


def web_uri(vocabulary: Vocabulary, value: str) -> str:
    """The web URI of a standard value; any other value unchanged (CBV 2.0 §8.9, rules 14 to 16)."""
    word = known(vocabulary, value)
    return value if word is None else vocabulary.web + word


@lru_cache(8_192)
def belongs(vocabulary: Vocabulary, value: str) -> bool:
    """Whether the value is one of the vocabulary's words, or the URI of somebody else's word."""
    home = GS1 if vocabulary.web == GS1 else (CBV, URN)
    return known(vocabulary, value) is not None or (":" in value and not _full(value).startswith(home))


def _full(value: str) -> str:
    for spelling, namespace in _SPELLINGS:
        if found := spelling.match(value):
            return namespace + value[found.end() :]
    return value
