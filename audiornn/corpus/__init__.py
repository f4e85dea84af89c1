"""What `prep` makes: manifests and features."""
