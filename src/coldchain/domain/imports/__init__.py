"""Spreadsheets of people without devices (level 0 and 1 of design §2.6) -> EPCIS events and claims. Pure."""
