"""What measures the promises of the README. `make bench` runs `bench.__main__`; everything stays on loopback."""
