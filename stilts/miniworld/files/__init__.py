"""The raw files of every task, by family: meanings that `World` draws, said in its languages, in the hub's schemas."""
