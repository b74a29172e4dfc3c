"""Files of Keras's: as Keras writes them, and written here by hand."""
