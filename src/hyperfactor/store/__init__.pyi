from . import results as results, table as table, verify as verify
from .store import Entry as Entry, Store as Store
