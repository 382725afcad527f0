"""The statistics of each study, shared by its figures and its section: one file per study."""
