"""Pictures as clips: one picture, or a folder or ZIP file of numbered ones, as frames that a video has."""
