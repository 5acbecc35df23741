"""How fast this project is beside what a user would otherwise pick: `python -m benchmarks`. See docs/performance.md.

`ratios.py` measures pairs alternately and tells whether a ratio is worse than accepted. `machine.py` describes the
machine. `peers.py` makes networks of other packages; `learning.py`, `networks.py` and `tools.py` define the pairs.
`growth.py` measures how cost grows; `operators.py` where a training step goes.
"""
