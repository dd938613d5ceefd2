"""``cairn``: the command for machines in the field, which know the installation by its API only."""
