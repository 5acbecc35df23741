"""The store: runs and results in a folder or a bucket."""

from typing import TYPE_CHECKING

from hyperfactor import lazy

if TYPE_CHECKING:
    from hyperfactor.store import results as results, table as table, verify as verify
    from hyperfactor.store.store import Entry as Entry, Store as Store
else:
    __getattr__, __dir__, __all__ = lazy.attach(
        __name__,
        ("results", "table", "verify"),
        {
            "store": ("Entry", "Store"),
        },
    )
