"""A core that stays as it is, as the maker of features: computed once, or in front of a classifier of scikit-learn."""
