"""Options of the command line, and the marks that they give."""
