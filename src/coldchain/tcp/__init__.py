"""Doors for devices that speak a protocol of their own over TCP."""
