"""What a SLURM cluster is like, and which of its jobs are ours."""
