"""How far what a model says is from what it should say."""
