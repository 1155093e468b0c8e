"""Video files, image sequences and archives, written and verified."""
