"""Links by which results are shown to people without an account."""
