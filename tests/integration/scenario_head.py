"""What the small scenarios of tests have in common; the rest of a scenario follows it."""

HEAD = """
seed = 3
start = 2026-03-02T00:00:00Z
zone = "+08:00"
setpoint_c = -20.0
profile = "CN-frozen"
carrier = "polar"
climate = { mean_c = 7.0, swing_c = 5.0, dock_c = 4.0 }
reads = { missed = 0.0, stray = 0.0 }
org = [{ id = "polar", role = "warehouse", name = "Polar" }]
site = [{ id = "w1", org = "polar", lat = 36.07, lon = 120.32, room = "a" }]
portal = []
product = []
batch = []
trip = []
"""
