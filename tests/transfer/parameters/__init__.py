"""Groups, copies, and cores across domains."""
