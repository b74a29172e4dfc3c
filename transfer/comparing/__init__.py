"""Does a transfer help? Studies, the arms that are run on them, the runs, and verdicts with their intervals."""
