"""A resident worker: short jobs are forked from a process that has imported torch once."""
