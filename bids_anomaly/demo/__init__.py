"""A small BIDS dataset of synthetic heads, so that everything can be tried without a download."""
