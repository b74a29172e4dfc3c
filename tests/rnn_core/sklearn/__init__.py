"""The estimators: scikit-learn's own checks, and what these leave open."""
