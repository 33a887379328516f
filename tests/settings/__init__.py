"""The settings, from texts in variables and files to values or problems."""
