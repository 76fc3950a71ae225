"""What notebooks show of a report: its words, as print shows them."""

from __future__ import annotations

import html


class Printed:
    """What is shown by its words, in a notebook too, not by all of its arrays."""

    def _repr_html_(self) -> str:
        """For notebooks: what `print` shows."""
        return f"<pre>{html.escape(str(self))}</pre>"
