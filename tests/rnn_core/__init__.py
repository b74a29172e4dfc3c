"""What is built on the cells, room by room as the package has them."""
