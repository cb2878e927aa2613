"""Simulated and replayed devices: physics, signing, store-and-forward publishing."""
