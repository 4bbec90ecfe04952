"""The mini world: several artificial languages over one meaning space, written as raw files of the real data sets."""
