"""Which way a call takes, and how a block cuts its product: numbers only, decided before anything runs."""
