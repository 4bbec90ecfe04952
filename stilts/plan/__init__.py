"""What a study will cost before it runs: sizes of tasks, work of jobs, seconds, memory, disk."""
