"""How well a model listens, in counts and intervals."""
