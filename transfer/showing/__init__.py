"""What people get to see: the terminal, pages, pictures, and a look inside by saliency."""
