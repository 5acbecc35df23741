"""How tests start the browser, and how long they wait for it."""

PATIENCE = 120_000  # milliseconds that anything in a browser may take on a busy machine
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
