"""What people see: the terminal, tables, pages and pictures; and what the surroundings are."""
