"""What can be done with a session, whoever asks: the page, the command line or a program."""
