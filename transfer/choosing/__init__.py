"""Choices made before or beside training: which source, which hidden size, how strongly to hold on to the source."""
