"""Operations on sessions, for the page, the command line and programs alike."""
