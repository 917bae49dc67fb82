"""What the programs do, as Python functions with results."""
