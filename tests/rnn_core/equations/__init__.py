"""The forward is the equation on the page: identities, and the forms of the sources."""
