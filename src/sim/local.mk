# Simulated chips, one file a chip.
