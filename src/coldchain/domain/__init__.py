"""Pure rules of the cold chain: standard library only, no I/O, no clock, no database."""
