"""The two ways through a sequence, persistent and stepwise, with their parts and their launch."""
