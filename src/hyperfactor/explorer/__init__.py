"""Pages in a browser: runs, drawings under one's own mouse, representations that turn, claims, and percolation."""
