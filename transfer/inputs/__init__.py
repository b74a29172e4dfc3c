"""From the files that a user names to a study: read, encoded, and told with their facts."""
