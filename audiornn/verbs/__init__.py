"""The verbs of the command line; each imports what it needs inside its own function."""
