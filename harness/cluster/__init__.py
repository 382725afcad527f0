"""The same cases on other machines, through Dask distributed; `docs/cluster.md` shows how."""
