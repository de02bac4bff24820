"""Figures, measured against peers in the same run and printed as ratios."""
