"""What `corpus.stretches` was called, for the recipes that an earlier `new` wrote."""

from audiornn.corpus.stretches import cut_long as cut_labelled

__all__ = ["cut_labelled"]
