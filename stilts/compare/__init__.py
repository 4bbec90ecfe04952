"""Two states of a study side by side: kept runs, what changed, the leaderboard."""
