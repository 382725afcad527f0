"""The formats that runs are exchanged in: one file each, found by its registry."""
