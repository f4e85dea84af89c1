"""Listening: the half that runs anywhere, without PyTorch."""
