"""What the doctor looks at: one check, one function, found by its registry."""
