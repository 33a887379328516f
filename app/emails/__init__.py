"""Use cases around one email: send it, look it up, keep the house in order. Used by the API and the command line."""
