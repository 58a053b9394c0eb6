"""Short trainings of copies under one change each."""
