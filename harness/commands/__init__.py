"""The larger commands, one per file; `harness.cli` is the front that registers them."""
