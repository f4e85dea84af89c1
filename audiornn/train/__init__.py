"""Training: the half that needs PyTorch."""
