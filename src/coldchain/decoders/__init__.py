"""Bytes of one wire format into domain telemetry or events; one file per format."""
