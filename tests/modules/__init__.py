"""Drop-in modules, held against torch.nn; and the stacks that they are made of."""
