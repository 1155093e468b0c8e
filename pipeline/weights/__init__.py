"""The files of models' weights: found, verified, downloaded and read; and the licences acknowledged."""
